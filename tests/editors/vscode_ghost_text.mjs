// Types in real VS Code, waits for ghost text, takes a screenshot, and tests the keys and the menu.
//
//   node vscode_ghost_text.mjs PORT FILE TEXT_TO_TYPE SCREENSHOT.png [MENU.png]
//
// VS Code (code-server) listens on PORT. The checks in vscode_typing.mjs and vscode_serving.mjs share a window, since
// opening one takes seconds; vscode_training.mjs uses another at the same time. Each check has its own files, most of
// them a copy of FILE, a short Python file, that ends with TEXT_TO_TYPE; its last KEYS characters are typed, and the
// suggestion must have more than a word. The server learns from the typed text, as in normal use. Each check prints one
// line; after a failure, SCREENSHOT.png.CHECK.png shows the screen, and the next check gets a new window. Exits with 1 if
// any check fails. `--only NAME,NAME` runs only these. From the root of a clone, with the server on the PATH:
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
import { servers } from './vscode_servers.mjs';
import { SERVING } from './vscode_serving.mjs';
import { TRAINING } from './vscode_training.mjs';
import { TYPING } from './vscode_typing.mjs';

const { values: { only }, positionals } = parseArgs({ allowPositionals: true, options: { only: { type: 'string' } } });
const [port, fileArgument, textToType, screenshot, menuScreenshot] = positionals;
if (!screenshot) throw new Error('usage: vscode_ghost_text.mjs PORT FILE TEXT_TO_TYPE SCREENSHOT.png [MENU.png] [--only CHECK,CHECK]');
const unknown = only?.split(',').filter(name => !(name in { ...TYPING, ...SERVING, ...NOTEBOOKS, ...TRAINING }));
if (unknown?.length) throw new Error(`there is no check ${unknown}`);
const KEYS = 12;
const original = readFileSync(fileArgument, 'utf8');

/** The context of a check: a window, and FILE. */
class Example {
  line = textToType;
  lastKeys = textToType.slice(-KEYS);
  port = port;

  constructor(browser, folder) {
    Object.assign(this, { browser, folder });
  }

  async openWindow() {
    const others = servers(port).map(({ pid }) => pid);
    this.editor = await this.window(basename(fileArgument));
    await this.editor.begin();
    if (this.editor.welcome) welcomes.push(this.editor.welcome);
    this.host = servers(port).find(({ pid }) => !others.includes(pid)).host;
  }

  /** Opens a window on the workspace, with FILE's text in its editor. */
  window(name) {
    const file = join(this.folder, name);
    writeFileSync(file, original + textToType.slice(0, -KEYS));
    return openPage(this.browser, port, file);
  }

  /** The server of the check's window; undefined if none runs. */
  server() {
    return servers(port).find(({ host }) => host === this.host);
  }

  /** Opens a copy and types TEXT_TO_TYPE's last keys in it; `text` and `line` are changed by functions, if given. */
  async typed(name, { text = as => as, line = as => as, file = `${name}.py` } = {}) {
    const whole = line(textToType);
    await this.editor.open(file, text(original + whole.slice(0, -KEYS)));
    await this.editor.type(whole.slice(-KEYS));
    return whole;
  }

  /** The same; returns the suggestion. */
  async suggested(name, changes) {
    await this.typed(name, changes);
    return this.editor.settledGhostText();
  }

  picture() {
    return this.editor.page.screenshot({ path: screenshot });
  }

  foldedPicture() {
    return this.editor.page.screenshot({ path: `${screenshot}.folded.png` });
  }

  notebookPicture() {
    return this.editor.page.screenshot({ path: `${screenshot}.notebook.png` });
  }

  async menuPicture() {
    if (menuScreenshot) await this.editor.page.screenshot({ path: menuScreenshot });
  }
}

let opening = Promise.resolve();
/** What was said at the first start: once, in whichever window. */
const welcomes = [];

/** Runs checks in one window; opens another after a failure. */
async function run(browser, checks) {
  let example;
  for (const [name, check] of Object.entries(checks)) {
    if (only && !only.split(',').includes(name)) continue;
    try {
      if (!example) {
        example = new Example(browser, realpathSync(mkdtempSync(join(room, 'workspace-'))));
        // One window after another: a new server process belongs to the new window.
        await (opening = opening.catch(() => undefined).then(() => example.openWindow()));
      }
      console.log(`${name}: ${await check(example)}`);
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

const room = realpathSync(mkdtempSync(join(tmpdir(), 'ghost-text-')));
const browser = await startBrowser();
try {
  await Promise.all([run(browser, TRAINING), run(browser, { ...TYPING, ...SERVING, ...NOTEBOOKS })]);
  if (welcomes.length !== 1) throw new Error(`the welcome was shown ${welcomes.length} times`);
  console.log(`welcome: ${JSON.stringify(welcomes[0])}`);
} finally {
  await browser.close();
  rmSync(room, { recursive: true });
}
