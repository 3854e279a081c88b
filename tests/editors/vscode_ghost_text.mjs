// Runs the checks in real VS Code: types, waits for ghost text, and tests the keys and the menu.
//
//   node vscode_ghost_text.mjs PORT FILE TEXT_TO_TYPE SCREENSHOT.png [MENU.png]
//
// VS Code (code-server) listens on PORT. The checks in vscode_typing.mjs and vscode_serving.mjs share a window, since opening
// one takes seconds; those in vscode_training.mjs, vscode_notebooks.mjs and vscode_servers.mjs share another one at the same
// time. The former start no server, so that the latter can count servers. Each check opens its own files. Most are copies of
// FILE, a short Python file, followed by TEXT_TO_TYPE, whose last KEYS characters are typed; the suggestion must be longer than
// a word. The server learns from the typed text, as in normal use. Each check prints one line. After a failure,
// SCREENSHOT.png.CHECK.png shows the screen, and the next check gets a new window. Exits with 1 if any check fails. `--only
// NAME,NAME` runs only these checks. From the root of a clone, with the server on PATH:
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
import { parseArgs } from 'node:util';
import { NOTEBOOKS } from './vscode_notebooks.mjs';
import { openPage, startBrowser } from './vscode_page.mjs';
import { SERVERS, servers } from './vscode_servers.mjs';
import { SERVING } from './vscode_serving.mjs';
import { TRAINING } from './vscode_training.mjs';
import { TYPING } from './vscode_typing.mjs';

const { values: { only }, positionals } = parseArgs({ allowPositionals: true, options: { only: { type: 'string' } } });
const [port, fileArgument, textToType, screenshot, menuScreenshot] = positionals;
if (!screenshot) throw new Error('usage: vscode_ghost_text.mjs PORT FILE TEXT_TO_TYPE SCREENSHOT.png [MENU.png] [--only CHECK,CHECK]');
const unknown = only?.split(',').filter(name => !(name in { ...TYPING, ...SERVING, ...TRAINING, ...NOTEBOOKS, ...SERVERS }));
if (unknown?.length) throw new Error(`unknown check: ${unknown}`);
const KEYS = 12;
const original = readFileSync(fileArgument, 'utf8');

/** The context of a check: a window, and copies of FILE in its workspace. */
class Example {
  line = textToType;
  lastKeys = textToType.slice(-KEYS);
  port = port;

  constructor(browser, folder) {
    Object.assign(this, { browser, folder });
  }

  async openWindow() {
    const before = servers(port).map(({ pid }) => pid);
    this.editor = await this.window(basename(fileArgument));
    await this.editor.waitUntilReady();
    if (this.editor.welcome) welcomes.push(this.editor.welcome);
    this.host = servers(port).find(({ pid }) => !before.includes(pid)).host;
  }

  /** Opens a window on the workspace, with a copy of FILE in its editor. */
  window(name) {
    const file = join(this.folder, name);
    writeFileSync(file, original + textToType.slice(0, -KEYS));
    return openPage(this.browser, port, file);
  }

  /** The server process of the check's window; undefined if none is running. */
  server() {
    return servers(port).find(({ host }) => host === this.host);
  }

  /** Opens a copy of FILE, and types the end of TEXT_TO_TYPE in it. `text` and `line` can transform the two first. */
  async typeInCopy(name, { text = same => same, line = same => same, file = `${name}.py` } = {}) {
    const whole = line(textToType);
    await this.editor.open(file, text(original + whole.slice(0, -KEYS)));
    await this.editor.type(whole.slice(-KEYS));
    return whole;
  }

  /** The same; returns the ghost text. */
  async ghostTextInCopy(name, transforms) {
    await this.typeInCopy(name, transforms);
    return this.editor.stableGhostText();
  }

  /** Types the last character again, which sends another request. */
  async retypeLastKey() {
    await this.editor.press('Backspace');
    await this.editor.type('i');
  }

  takeScreenshot() {
    return this.editor.page.screenshot({ path: screenshot });
  }

  takeFoldedScreenshot() {
    return this.editor.page.screenshot({ path: `${screenshot}.folded.png` });
  }

  takeNotebookScreenshot() {
    return this.editor.page.screenshot({ path: `${screenshot}.notebook.png` });
  }

  async takeMenuScreenshot() {
    if (menuScreenshot) await this.editor.page.screenshot({ path: menuScreenshot });
  }
}

let opening = Promise.resolve();
/** The welcome messages of all windows: exactly one is expected. */
const welcomes = [];

/** Runs checks in one window, which is replaced after a failure. */
async function run(browser, checks) {
  let example;
  for (const [name, check] of Object.entries(checks)) {
    if (only && !only.split(',').includes(name)) continue;
    try {
      if (!example) {
        example = new Example(browser, realpathSync(mkdtempSync(join(scratch, 'workspace-'))));
        // Windows are opened one at a time, so that a new server process belongs to the new window.
        await (opening = opening.catch(() => undefined).then(() => example.openWindow()));
      }
      const start = Date.now(), result = await check(example);
      console.log(`${name} (${((Date.now() - start) / 1000).toFixed(1)} s): ${result}`);
    } catch (error) {
      process.exitCode = 1;
      console.log(`${name}: FAILED: ${error.message}`);
      await example.editor.page.screenshot({ path: `${screenshot}.${name}.png` });
      await example.editor.close();
      example = undefined;
    }
  }
  await example?.editor.close();
}

const scratch = realpathSync(mkdtempSync(join(tmpdir(), 'ghost-text-')));
const browser = await startBrowser();
try {
  await Promise.all([run(browser, { ...TRAINING, ...NOTEBOOKS, ...SERVERS }), run(browser, { ...TYPING, ...SERVING })]);
  if (welcomes.length !== 1) throw new Error(`the welcome message was shown ${welcomes.length} times`);
  console.log(`welcome: ${JSON.stringify(welcomes[0])}`);
} finally {
  await browser.close();
  rmSync(scratch, { recursive: true });
}
