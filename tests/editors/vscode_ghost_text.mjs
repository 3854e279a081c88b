// Types in real VS Code: waits for tinycopilot's ghost text, takes its picture, and tries the keys and the menu.
//
//   node vscode_ghost_text.mjs PORT FILE TEXT_TO_TYPE SCREENSHOT.png [MENU.png]
//
// VS Code (code-server) listens on PORT. Each check has a copy of FILE, a short Python file, in a folder
// and a window of its own, and
// TEXT_TO_TYPE goes to its end; more than a word must be suggested there. Each check says in a line that it
// holds, or why not; the picture SCREENSHOT.png.CHECK.png then shows where. It exits with 1 if any fails.
// From a fresh clone, at its root, with the server installed in the environment whose bin/ is on the PATH:
//
//   tests/editors/install_editors.sh /tmp/editors
//   export PATH=/tmp/editors/node/bin:$PATH
//   (cd editors/vscode && npm ci && npm run package)
//   tests/editors/start_code_server.sh /tmp/editors 8123 /tmp/vscode_run editors/vscode/tinycopilot.vsix "$(which tinycopilot-server)"
//   node tests/editors/vscode_ghost_text.mjs 8123 tests/editors/example/thermometer.py "    for day, readings in sorted(read_days(args.path).i" /tmp/ghost_text.png /tmp/menu.png
//   kill -- -$(cat /tmp/vscode_run/pid)
import { mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { openPage, startBrowser } from './vscode_page.mjs';

const [port, fileArgument, textToType, screenshot, menuScreenshot] = process.argv.slice(2);
if (!screenshot) throw new Error('usage: vscode_ghost_text.mjs PORT FILE TEXT_TO_TYPE SCREENSHOT.png [MENU.png]');
const folder = realpathSync(mkdtempSync(join(tmpdir(), 'ghost-text-')));
const original = readFileSync(fileArgument, 'utf8');
let editor, page;  // of the check that runs
const press = key => page.keyboard.press(key);

/** Types, and says what is suggested. */
async function suggested(text = textToType) {
  await editor.type(text);
  return editor.settledGhostText();
}

function same(what, is, wanted) {
  if (is !== wanted) throw new Error(`${what}: ${JSON.stringify(is)}, not ${JSON.stringify(wanted)}`);
}

/** Accepts what is shown, and holds that the text has then grown by exactly that, at the cursor; returns the text before. */
async function accept(ghost, lineEnd = '\n') {
  const before = await editor.savedText();
  await press('Tab');
  await editor.changed('accepting with Tab');
  const after = await editor.savedText();
  const at = before.lastIndexOf(textToType.trim().slice(-4)) + 4;
  same('the text after Tab', after, before.slice(0, at) + ghost.replaceAll('\n', lineEnd) + before.slice(at));
  return before;
}

const CHECKS = {
  async tab() {
    const ghost = await suggested();
    await page.screenshot({ path: screenshot });
    await accept(ghost);
    return `shown and accepted: ${JSON.stringify(ghost)}`;
  },

  async undo() {
    const before = await accept(await suggested());
    await press('Control+z');
    await editor.changed('undoing');
    same('the text after one undo', await editor.savedText(), before);
    return 'one step takes back what was accepted';
  },

  async word() {
    const ghost = await suggested();
    const before = await editor.savedText();
    await press('Control+ArrowRight');
    await editor.changed('accepting a word');
    const rest = await editor.settledGhostText();
    const after = await editor.savedText();
    const taken = ghost.slice(0, ghost.length - rest.length);
    if (!taken || taken + rest !== ghost) throw new Error(`of ${JSON.stringify(ghost)} is left ${JSON.stringify(rest)}`);
    same('how much the text has grown', after.length - before.length, taken.length);
    return `of ${JSON.stringify(ghost)}, ${JSON.stringify(taken)} was taken, and ${JSON.stringify(rest)} stays`;
  },

  async through() {
    const ghost = await suggested();
    for (let n = 1; n < Math.min(4, ghost.length); n++) {
      await editor.type(ghost[n - 1]);
      await editor.until(`${JSON.stringify(ghost.slice(n))} after ${n} of its characters`, 5, async () => await editor.ghostText() === ghost.slice(n));
    }
    return `what is typed through stays: ${JSON.stringify(ghost)}`;
  },

  async escape() {
    await suggested();
    const before = await editor.savedText();
    await press('Escape');
    await editor.noGhostText('Esc was pressed');
    same('the text after Esc', await editor.savedText(), before);
    return 'Esc dismisses it, and changes nothing';
  },

  async pause() {
    await suggested();
    await editor.command('tinycopilot: Pause suggestions');
    await editor.state('off');
    await editor.noGhostText('it is paused');
    await press('Backspace');
    await editor.type(textToType.at(-1));
    await editor.noGhostText('it is paused, and typed on');
    await editor.command('tinycopilot: Resume suggestions');
    await editor.state('ready');
    await press('Backspace');
    return `silent when paused; resumed: ${JSON.stringify(await suggested(textToType.at(-1)))}`;
  },

  async menu() {
    await editor.item.first().click();
    const rows = page.locator('.quick-input-list .monaco-list-row');
    await editor.until('the menu', 10, async () => await rows.count() > 5);
    const title = await page.locator('.quick-input-title').textContent();
    const labels = (await rows.allTextContents()).join('\n');
    if (menuScreenshot) await page.screenshot({ path: menuScreenshot });
    await press('Escape');
    same('its title', title, 'tinycopilot: ready');
    for (const label of ['Pause suggestions', 'No suggestions in python', 'Statistics', 'Train on this workspace']) {
      if (!labels.includes(label)) throw new Error(`"${label}" is missing in\n${labels}`);
    }
    if (labels.includes('Resume')) throw new Error('it offers to resume what is not paused');
    return 'a click on the status bar opens it';
  },

  async crlf() {
    await accept(await suggested(), '\r\n');
    const text = await editor.savedText();
    if (/[^\r]\n/.test(text) || !text.includes('\r\n')) throw new Error(`line ends are not all CRLF: ${JSON.stringify(text)}`);
    return 'line ends stay CRLF';
  },

  async emoji() {
    const ghost = await suggested(textToType.replace(/^( *)/, '$1_ = "\u{1f321}\u{1f600}"; '));
    await accept(ghost);
    return `behind two emoji in the line, ${JSON.stringify(ghost)} goes where it was shown`;
  },

  async secret() {
    await editor.type(textToType);
    await editor.noGhostText('a .env is open');
    const text = await editor.savedText();
    if (!text.includes(textToType)) throw new Error(`it was not typed there: ${JSON.stringify(text)}`);
    return 'silent in a .env';
  },
};

/** Runs a check in a window and a workspace of its own: the server learns from what is typed. */
async function run(browser, name) {
  // start_code_server.sh has a .env taken for Python: only its name makes it a secret.
  const file = join(mkdtempSync(join(folder, `${name}-`)), name === 'secret' ? '.env' : basename(fileArgument));
  writeFileSync(file, name === 'crlf' ? original.replaceAll('\n', '\r\n') : original);
  editor = await openPage(browser, port, file);
  page = editor.page;
  try {
    await editor.begin();
    console.log(`${name}: ${await CHECKS[name]()}`);
  } catch (error) {
    await page.screenshot({ path: `${screenshot}.${name}.png` });
    console.log(`${name}: FAILED: ${error.message}`);
    process.exitCode = 1;
  } finally {
    await page.goto('about:blank');  // VS Code says goodbye; a window that just vanishes keeps its server for hours
    await page.close();
  }
}

const browser = await startBrowser();
try {
  for (const name of Object.keys(CHECKS)) await run(browser, name);
} finally {
  await browser.close();
  rmSync(folder, { recursive: true });
}
