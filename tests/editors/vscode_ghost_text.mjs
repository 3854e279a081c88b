// Types in real VS Code, waits for tinycopilot's ghost text, takes its picture, and accepts it with Tab.
//
//   node vscode_ghost_text.mjs PORT FILE TEXT_TO_TYPE SCREENSHOT.png
//
// VS Code (code-server) listens on PORT. FILE, a short Python file, is opened with its folder as the workspace, and
// TEXT_TO_TYPE goes to its end; what the editor saves there is undone at the end. The test holds that the file then has
// grown by exactly the ghost text that was shown. It exits with 1 if anything fails, and the picture shows where.
// From a fresh clone, at its root, with the server installed in the environment whose bin/ is on the PATH:
//
//   tests/editors/install_editors.sh /tmp/editors
//   export PATH=/tmp/editors/node/bin:$PATH
//   (cd editors/vscode && npm ci && npm run package)
//   tests/editors/start_code_server.sh /tmp/editors 8123 /tmp/vscode_run editors/vscode/tinycopilot.vsix "$(which tinycopilot-server)"
//   node tests/editors/vscode_ghost_text.mjs 8123 tests/editors/example/thermometer.py "    for day, readings in sorted(read_days(args.path).i" /tmp/ghost_text.png
//   kill -- -$(cat /tmp/vscode_run/pid)
import { readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, resolve } from 'node:path';

const [port, fileArgument, textToType, screenshot] = process.argv.slice(2);
if (!screenshot) throw new Error('usage: vscode_ghost_text.mjs PORT FILE TEXT_TO_TYPE SCREENSHOT.png');
const file = realpathSync(fileArgument);
const original = readFileSync(file, 'utf8');

// playwright-core lies in the folder that install_editors.sh made; unless told, it is where the Node that runs this lies.
const editors = process.env.EDITORS_DIR ?? resolve(dirname(process.execPath), '../../../..');
const { chromium } = createRequire(`${editors}/playwright/`)('playwright-core');
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--disable-sync', '--disable-component-update', '--disable-background-networking'],
});
const page = await browser.newPage({ viewport: { width: 1000, height: 560 } });
await page.route(url => url.hostname !== '127.0.0.1', route => route.abort());  // nothing leaves the machine

/** Asks until the answer is truthy, for at most `seconds`. */
async function until(what, seconds, ask) {
  for (const end = Date.now() + seconds * 1000; Date.now() < end; await page.waitForTimeout(50)) {
    const answer = await ask();
    if (answer) return answer;
  }
  throw new Error(`${what}: not within ${seconds} s`);
}

/** The ghost text on the screen. It is coloured, so it stands in many spans; its second line and on stand in a view zone. */
function ghostText() {
  return page.evaluate(() => {
    const lines = [...document.querySelectorAll('.editor-instance .view-lines > .view-line')]
      .map(line => [...line.querySelectorAll('.ghost-text-decoration, .ghost-text')])
      .filter(spans => spans.length > 0)
      .map(spans => spans.map(span => span.textContent).join(''));
    const below = [...document.querySelectorAll('.editor-instance .view-zones .suggest-preview-text .view-line')]
      .map(line => line.textContent);
    return [...lines, ...below].join('\n').replaceAll('\u00a0', ' ');
  });
}

/** The ghost text once it has stayed the same for a while: the editor asks at every key. */
async function settledGhostText() {
  let last = '';
  let since = Date.now();
  return until('ghost text', 15, async () => {
    const now = await ghostText();
    if (now !== last) [last, since] = [now, Date.now()];
    return Date.now() - since > 500 && now;
  });
}

/** What the editor holds, by way of the disk: the screen shows only what fits. */
async function savedText() {
  await page.keyboard.press('Control+s');
  await until('saving', 10, async () => await page.locator('.tab.active.dirty').count() === 0);
  return readFileSync(file, 'utf8');
}

/** Waits for the status bar to say ready; gives up at once, with its reason, if it says error. */
async function serverReady() {
  const item = page.locator('.statusbar-item[id*="tinycopilot"]');
  const said = await until('the server being ready', 60, async () => {
    const text = await item.count() > 0 ? await item.first().textContent() : '';
    return /ready|error/.test(text) && text;
  });
  if (said.includes('error')) throw new Error(`the status bar says: ${await item.first().locator('[aria-label]').first().getAttribute('aria-label')}`);
}

try {
  const open = JSON.stringify([['openFile', `vscode-remote://127.0.0.1:${port}${file}`]]);
  await page.goto(`http://127.0.0.1:${port}/?folder=${encodeURIComponent(dirname(file))}&payload=${encodeURIComponent(open)}`);
  await page.waitForSelector('.editor-instance .view-line', { timeout: 60_000 });
  await serverReady();

  await page.keyboard.press('Control+b');  // the side bar, away
  await page.click('.editor-instance .view-lines');
  await page.keyboard.press('Control+End');
  await page.keyboard.type(textToType, { delay: 30 });
  const ghost = await settledGhostText();
  await page.screenshot({ path: screenshot });
  const before = await savedText();

  await page.keyboard.press('Tab');
  await until('accepting with Tab', 5, async () => await page.locator('.tab.active.dirty').count() === 1);
  const after = await savedText();
  const grown = [...before, ''].some((_, at) => before.slice(0, at) + ghost + before.slice(at) === after);
  if (!grown) throw new Error(`shown ${JSON.stringify(ghost)}, but the text went from\n${before}\nto\n${after}`);
  console.log(`shown and accepted: ${JSON.stringify(ghost)}`);
} catch (error) {
  await page.screenshot({ path: screenshot });
  console.error(error.message);
  process.exitCode = 1;
} finally {
  await browser.close();
  writeFileSync(file, original);
}
