// Records an animation of real VS Code: a few lines are typed, and matching suggestions are accepted with Tab.
//
//   node vscode_animation.mjs PORT FILE PICTURE.webp PYTHON
//
// VS Code (code-server) listens on PORT (see vscode_ghost_text.mjs). LINES are typed into a copy of FILE; a suggestion that
// matches them is accepted. A frame is captured after each key; its duration is set below, not measured, so the animation
// does not show the real speed. PYTHON is a Python with Pillow (`pip install pillow`), which joins the frames.
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { openPage, startBrowser } from './vscode_page.mjs';

const LINES = `
    for day, readings in sorted(read_days(args.path).items()):
        print(day, max(readings))


if __name__ == "__main__":
    main()
`;
const WINDOW = { viewport: { width: 900, height: 420 }, deviceScaleFactor: 2 };
const MIN_ACCEPTED_CHARS = 3;
const MS = { key: 110, shown: 1000, accepted: 700, end: 2500 };

const [port, file, picture, python] = process.argv.slice(2);
if (!python) throw new Error('usage: vscode_animation.mjs PORT FILE PICTURE.webp PYTHON');
const folder = realpathSync(mkdtempSync(join(tmpdir(), 'animation-')));
const frames = [];

/** Writes the workspace: FILE, and settings without cursor blinking and automatic edits. */
function prepare() {
  mkdirSync(join(folder, '.vscode'));
  writeFileSync(join(folder, '.vscode/settings.json'), JSON.stringify({
    'editor.autoClosingBrackets': 'never', 'editor.autoClosingQuotes': 'never', 'editor.autoIndent': 'none',
    'editor.cursorBlinking': 'solid', 'editor.quickSuggestions': { other: 'off' }, 'editor.scrollBeyondLastLine': true,
  }));
  copyFileSync(file, join(folder, basename(file)));
}

async function frame({ page }, ms) {
  const name = join(folder, `${String(frames.length).padStart(4, '0')}.png`);
  await page.screenshot({ path: name });
  frames.push([name, ms]);
}

/** Types the text; accepts matching suggestions. */
async function type(editor, text) {
  await frame(editor, MS.shown);
  for (let at = 0; at < text.length;) {
    const [indent] = text.slice(at).match(/^ {4,}/) ?? [''];
    if (indent) await editor.page.keyboard.insertText(indent);
    else await editor.press(text[at] === '\n' ? 'Enter' : text[at]);
    at += indent.length || 1;
    await editor.page.waitForTimeout(400);
    const ghost = await editor.ghostText();
    const matches = ghost.trim().length >= MIN_ACCEPTED_CHARS && text.startsWith(ghost, at);
    await frame(editor, matches ? MS.shown : MS.key);
    if (!matches) continue;
    await editor.press('Tab');
    at += ghost.length;
    await editor.page.waitForTimeout(400);
    await frame(editor, MS.accepted);
  }
  frames.at(-1)[1] = MS.end;
}

const TO_WEBP = `
import json, sys
from PIL import Image
names, ms = zip(*json.load(sys.stdin))
first, *others = [Image.open(name).convert("RGB") for name in names]
first.save(sys.argv[1], save_all=True, append_images=others, duration=ms, loop=0, lossless=True, quality=100, method=4)
`;

const browser = await startBrowser();
try {
  prepare();
  const editor = await openPage(browser, port, join(folder, basename(file)), WINDOW);
  await editor.waitUntilReady();
  const original = readFileSync(file, 'utf8').trimEnd();
  if (readFileSync(file, 'utf8') !== original) await editor.press('Backspace');  // LINES starts with a line end
  await type(editor, LINES);
  const text = await editor.savedText();
  if (text !== original + LINES) throw new Error(`unexpected text: ${JSON.stringify(text)}`);
  execFileSync(python, ['-c', TO_WEBP, resolve(picture)], { input: JSON.stringify(frames) });
  await editor.close();
} finally {
  await browser.close();
  rmSync(folder, { recursive: true });
}
