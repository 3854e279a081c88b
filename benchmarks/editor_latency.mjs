// Latency from a keystroke to ghost text on the screen of real VS Code, at typing speed.
//
//   node benchmarks/editor_latency.mjs EDITORS_DIR SERVER_COMMAND... [--keys 200] [--seed 0] [--file PATH]
//
// The workspace is a copy of this repository's Python files. One of them (--file) is cut in the middle, and its next
// lines are typed, a key every 60 to 200 ms. (Indentation is inserted, not typed; the editor closes brackets.) Latency is
// measured inside the page, from the key's event to the start of the animation frame after the one in which the ghost text
// for the new text was drawn: by then, it is on the screen. Suggestions that are typed through, which VS Code updates by
// itself, are counted separately from new ones. `the key` is the latency of the typed character itself, the lower bound of
// the others. Keys after which no ghost text appears before the next key are counted, too. Prints a table and one JSON line.
// From a fresh clone, at its root, on an idle machine (Node 22 or later for `npm run package`):
//
//   make editors && make demo
//   export PATH=$PWD/.editors/node/bin:$PATH
//   (cd editors/vscode && npm ci && npm run package)
//   node benchmarks/editor_latency.mjs .editors .venv/bin/tinycopilot-server
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';

const ROOT = resolve(import.meta.dirname, '..');
const PAUSE_MS = [60, 200];
const { values, positionals: [editors, ...server] } = parseArgs({
  allowPositionals: true,
  options: {
    keys: { type: 'string', default: '200' }, seed: { type: 'string', default: '0' },
    file: { type: 'string', default: 'server/tinycopilot_server/handlers.py' },
  },
});
if (server.length === 0) throw new Error('usage: editor_latency.mjs EDITORS_DIR SERVER_COMMAND... [--keys N] [--seed N] [--file PATH]');
process.env.EDITORS_DIR = resolve(editors);
const { openPage, startBrowser } = await import('../tests/editors/vscode_page.mjs');

/** Returns a generator of random numbers from 0 to 1, determined by the seed (mulberry32). */
function randomGenerator(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Copies this repository's Python files to `folder`, and cuts `--file` in the middle; returns its path and the removed lines. */
function prepare(folder) {
  const names = execFileSync('git', ['ls-files', '*.py'], { cwd: ROOT, encoding: 'utf8' }).trim().split('\n');
  for (const name of names) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    cpSync(join(ROOT, name), join(folder, name));
  }
  // Disable features that change the typed text: unlike a person, this script does not react to them.
  mkdirSync(join(folder, '.vscode'));
  writeFileSync(join(folder, '.vscode/settings.json'), JSON.stringify({
    'editor.acceptSuggestionOnEnter': 'off', 'editor.autoClosingQuotes': 'never', 'editor.autoIndent': 'none',
  }));
  const file = join(folder, values.file);
  const lines = readFileSync(file, 'utf8').split('\n');
  const middle = lines.length >> 1;
  writeFileSync(file, lines.slice(0, middle).join('\n'));
  return { file, lines: lines.slice(middle) };
}

/** At most `limit` keys that type `lines`. `before` is the text before the cursor in the line after the key. */
function keysOf(lines, limit) {
  const keys = [];
  for (const [row, line] of lines.entries()) {
    const indent = line.match(/^ */)[0];
    for (let end = indent.length + 1; end <= line.length && keys.length < limit; end++) {
      keys.push({ row, indent: end === indent.length + 1 ? indent : '', key: line[end - 1], before: line.slice(0, end) });
    }
  }
  return keys;
}

/** Runs in the page: records when each key was pressed, when it was drawn, and when its ghost text was drawn. */
function recordKeys(keys) {
  const records = window.records = [];

  /** The text and the ghost text of each row on the screen, and all ghost text. */
  function readScreen() {
    const rows = [...document.querySelectorAll('.editor-instance .view-lines > .view-line')].map(row => {
      const isGhost = span => span.closest('.ghost-text-decoration, .ghost-text') !== null;
      const spans = [...row.querySelectorAll('span')].filter(span => span.childElementCount === 0);
      const text = parts => parts.map(span => span.textContent).join('').replaceAll('\u00a0', ' ');
      return { text: text(spans.filter(span => !isGhost(span))), ghost: text(spans.filter(isGhost)) };
    });
    const below = [...document.querySelectorAll('.editor-instance .view-zones .suggest-preview-text .view-line')];
    const ghost = [...rows.map(row => row.ghost).filter(Boolean), ...below.map(row => row.textContent)].join('\n');
    return { rows, ghost: ghost.replaceAll('\u00a0', ' ') };
  }

  /** Whether this row, without its ghost text, is the typed line after the key; only closing brackets may follow. */
  const isTyped = (row, { before }) => row.text.startsWith(before) && /^[\s)\]}]*$/.test(row.text.slice(before.length));

  document.addEventListener('keydown', event => {
    if (records.length === keys.length || event.key !== keys[records.length].key) return;
    records.push({ at: event.timeStamp, ...keys[records.length], ghostBefore: readScreen().ghost });
  }, { capture: true });

  new MutationObserver(() => {
    const record = records.at(-1);
    if (!record || record.shownMs !== undefined) return;
    const { rows, ghost } = readScreen();
    const typed = rows.filter(row => isTyped(row, record));
    if (typed.length === 0) return;
    if (record.drawnMs === undefined) {
      record.drawnMs = null;
      requestAnimationFrame(now => { record.drawnMs = now - record.at; });
    }
    if (!ghost || !typed.some(row => row.ghost) && !ghost.startsWith('\n')) return;
    record.shownMs = null;  // seen; the time is set in the next frame
    const rest = record.ghostBefore.slice(1);
    record.isThrough = record.ghostBefore.startsWith(record.key) && rest !== '' && ghost.startsWith(rest);
    requestAnimationFrame(now => { record.shownMs = now - record.at; });
  }).observe(document.querySelector('.editor-instance'), { subtree: true, childList: true, characterData: true, attributes: true });
}

/** Types the keys, with random pauses. */
async function type({ page }, keys, random) {
  let row = 0;
  let due = Date.now();
  for (const { row: wanted, indent, key } of keys) {
    for (; row < wanted; row++) await page.keyboard.press('Enter');
    if (indent) await page.keyboard.insertText(indent);
    due = Math.max(due, Date.now() - PAUSE_MS[0]) + PAUSE_MS[0] + random() * (PAUSE_MS[1] - PAUSE_MS[0]);
    await page.waitForTimeout(Math.max(0, due - Date.now()));
    await page.keyboard.press(key);
  }
  await page.waitForTimeout(1000);
}

/** The percentile (`fraction` from 0 to 1) of the times; null if there are none. */
function percentile(ms, fraction) {
  const sorted = [...ms].sort((a, b) => a - b);
  return sorted.length > 0 ? Math.round(10 * sorted[Math.max(0, Math.ceil(fraction * sorted.length) - 1)]) / 10 : null;
}

function figures(records) {
  const shown = records.filter(({ shownMs }) => typeof shownMs === 'number');
  const summary = (records, ms) => ({ n: records.length, p50: percentile(records.map(ms), 0.5), p95: percentile(records.map(ms), 0.95) });
  const drawn = records.filter(({ drawnMs }) => typeof drawnMs === 'number');
  return {
    keys: records.length,
    ms: {
      the_key: summary(drawn, record => record.drawnMs),
      shown: summary(shown, record => record.shownMs),
      typed_through: summary(shown.filter(record => record.isThrough), record => record.shownMs),
      new: summary(shown.filter(record => !record.isThrough), record => record.shownMs),
    },
    keys_with_nothing_shown: records.length - shown.length,
  };
}

function table({ keys, ms, keys_with_nothing_shown: none }) {
  const rows = Object.entries(ms).map(([name, { n, p50, p95 }]) =>
    [name.replace('_', ' ').padEnd(24), n, p50 ?? '-', p95 ?? '-'].map(cell => String(cell).padStart(8)).join(''));
  return [`${'milliseconds'.padEnd(24)}    keys     p50     p95`, ...rows, `of ${keys} keys, ${none} with nothing shown before the next`].join('\n');
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise(resolved => server.once('listening', resolved));
  const { port } = server.address();
  await new Promise(closed => server.close(closed));
  return port;
}

const scratch = realpathSync(mkdtempSync(join(tmpdir(), 'editor-latency-')));
const run = join(scratch, 'vscode');
const port = await freePort();
const workspace = join(scratch, 'workspace');
const { file, lines } = prepare(workspace);
execFileSync(join(ROOT, 'tests/editors/start_code_server.sh'),
  [editors, port, run, join(ROOT, 'editors/vscode/tinycopilot.vsix'), ...server.map((part, i) => i === 0 ? resolve(part) : part)],
  { stdio: ['ignore', 'ignore', 'inherit'] });
try {
  const browser = await startBrowser();
  const editor = await openPage(browser, port, file, { folder: workspace });
  await editor.waitUntilReady();
  const keys = keysOf(lines, Number(values.keys));
  await editor.press('Enter');
  await editor.page.evaluate(recordKeys, keys);
  await type(editor, keys, randomGenerator(Number(values.seed)));
  const result = figures(await editor.page.evaluate(() => window.records));
  await editor.close();
  await browser.close();
  console.log(table(result));
  console.log(JSON.stringify(result));
} finally {
  process.kill(-Number(readFileSync(join(run, 'pid'), 'utf8')));
  rmSync(scratch, { recursive: true, force: true });
}
