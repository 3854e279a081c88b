// Checks of ghost text in real VS Code. Run by vscode_ghost_text.mjs.
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { same } from './vscode_page.mjs';

/** A program to repeat: typing it again gives suggestions of several lines. */
const PROGRAM = `"""Say a path."""
import argparse
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", type=Path, help="a day and a temperature on each line")
    args = parser.parse_args()
    print(args.path)


def other() -> None:
`;

/** A program in which `return` goes on in two ways. */
const TWO_WAYS = `def kelvin_from(reading):
    return celsius_of(reading) + 273.15


def rankine_from(reading):
    return fahrenheit_of(reading) + 459.67


def degrees_from(reading):
`;

/** Accepts the suggestion, checks that exactly it was inserted at the cursor, and returns the earlier text. */
async function accept(example, ghost, lineEnd = '\n') {
  const { editor, line } = example;
  const before = await editor.savedText();
  await editor.press('Tab');
  await editor.changed('accepting with Tab');
  const after = await editor.savedText();
  const at = before.lastIndexOf(line.trim().slice(-4)) + 4;
  same('the text after Tab', after, before.slice(0, at) + ghost.replaceAll('\n', lineEnd) + before.slice(at));
  return before;
}

/** Opens PROGRAM with a new line and the cursor at its `¦`, types `keys`, and returns the suggestion. */
async function repeated({ editor }, name, begun, keys, program = PROGRAM) {
  await editor.open(`${name}.py`, program + begun);
  await editor.type(keys);
  return editor.settledGhostText();
}

async function tabbed(editor) {
  await editor.press('Tab');
  await editor.changed('accepting with Tab');
  return editor.savedText();
}

export const TYPING = {
  async tab(example) {
    const ghost = await example.suggested('tab');
    await example.picture();
    await accept(example, ghost);
    return `shown and accepted: ${JSON.stringify(ghost)}`;
  },

  async undo(example) {
    const { editor } = example;
    const before = await accept(example, await example.suggested('undo'));
    await editor.press('Control+z');
    await editor.changed('undoing');
    same('the text after one undo', await editor.savedText(), before);
    return 'one step takes back what was accepted';
  },

  async word(example) {
    const { editor } = example;
    const ghost = await example.suggested('word');
    const before = await editor.savedText();
    await editor.press('Control+ArrowRight');
    await editor.changed('accepting a word');
    const rest = await editor.settledGhostText();
    const after = await editor.savedText();
    const taken = ghost.slice(0, ghost.length - rest.length);
    if (!taken || taken + rest !== ghost) throw new Error(`of ${JSON.stringify(ghost)} is left ${JSON.stringify(rest)}`);
    same('how much the text has grown', after.length - before.length, taken.length);
    return `of ${JSON.stringify(ghost)}, ${JSON.stringify(taken)} was taken, and ${JSON.stringify(rest)} stays`;
  },

  async line(example) {
    const { editor } = example;
    const ghost = await repeated(example, 'line', '    par', 'ser = arg');
    const [first, ...others] = ghost.split('\n');
    if (others.length === 0) throw new Error(`not several lines: ${JSON.stringify(ghost)}`);
    const before = await editor.savedText();
    await editor.press('Control+Alt+l');  // start_code_server.sh has bound it
    await editor.changed('accepting a line');
    const rest = await editor.settledGhostText();
    same('the text then', (await editor.savedText()).trimEnd(), before + first);
    if (!others[0].trim().startsWith(rest.split('\n')[0].trim())) throw new Error(`of ${JSON.stringify(ghost)} is left ${JSON.stringify(rest)}`);
    return `of ${1 + others.length} lines, the first was taken, and ${JSON.stringify(rest)} stays`;
  },

  async firstLine(example) {
    const { editor } = example;
    const settings = join(dirname(editor.file), '.vscode', 'settings.json');
    mkdirSync(dirname(settings), { recursive: true });
    const hidden = () => editor.page.evaluate(() => [...document.querySelectorAll('.editor-instance .view-line span')]
      .map(span => getComputedStyle(span, '::after').content).find(content => /^"\+\d+ line/.test(content)));
    try {
      writeFileSync(settings, '{ "tinycopilot.multiline": "firstLine" }');
      await repeated(example, 'first_line_of_all', '    par', 'ser = arg');
      const again = () => editor.until('the number of the hidden lines', 20, async () => {
        await editor.press('Backspace');
        await editor.type('g');
        await editor.settledGhostText();
        return hidden();
      });
      await again();
      await editor.press('Escape');
      await editor.noGhostText('Esc was pressed');
      same('the number after Esc', await hidden(), undefined);
      const number = await again();
      const first = await editor.ghostText();
      same('lines of ghost text', first.split('\n').length, 1);
      const before = await editor.savedText();
      await example.foldedPicture();
      await editor.press('Tab');
      await editor.changed('accepting with Tab');
      const rest = await editor.settledGhostText();
      same('the text after the first Tab', (await editor.savedText()).trimEnd(), before + first);
      same('the number after it', await hidden(), undefined);
      same('how many lines come after it', parseInt(number.slice(2)), rest.trim().split('\n').length);
      return `${JSON.stringify(first)} ${number}, then ${JSON.stringify(rest)}`;
    } finally {
      writeFileSync(settings, '{}');
    }
  },

  async alternatives(example) {
    const { editor } = example;
    await repeated(example, 'alternatives', '    re', 'tu', TWO_WAYS);
    await editor.command('Trigger Inline Suggestion');
    const first = await editor.settledGhostText();
    const shown = key => editor.press(key).then(() => editor.settledGhostText());
    const other = await shown('Alt+]');
    if (other === first) throw new Error(`Alt+] shows the same: ${JSON.stringify(first)}`);
    same('back with Alt+[', await shown('Alt+['), first);
    return `${JSON.stringify(first)}, or ${JSON.stringify(other)}, and back`;
  },

  async through(example) {
    const { editor } = example;
    const ghost = await example.suggested('through');
    for (let n = 1; n < Math.min(4, ghost.length); n++) {
      await editor.type(ghost[n - 1]);
      await editor.until(`${JSON.stringify(ghost.slice(n))} after ${n} of its characters`, 5, async () => await editor.ghostText() === ghost.slice(n));
    }
    return `what is typed through stays: ${JSON.stringify(ghost)}`;
  },

  async escape(example) {
    const { editor } = example;
    await example.suggested('escape');
    const before = await editor.savedText();
    await editor.press('Escape');
    await editor.noGhostText('Esc was pressed');
    same('the text after Esc', await editor.savedText(), before);
    return 'Esc dismisses it, and changes nothing';
  },

  async crlf(example) {
    const { editor } = example;
    await accept(example, await example.suggested('crlf', { text: text => text.replaceAll('\n', '\r\n') }), '\r\n');
    const text = await editor.savedText();
    if (/[^\r]\n/.test(text) || !text.includes('\r\n')) throw new Error(`line ends are not all CRLF: ${JSON.stringify(text)}`);
    return 'line ends stay CRLF';
  },

  async emoji(example) {
    const two = '_ = "\u{1f321}\u{1f600}"; ';
    const ghost = await example.suggested('emoji', { line: line => line.replace(/^( *)/, `$1${two}`) });
    await accept(example, ghost);
    return `behind two emoji in the line, ${JSON.stringify(ghost)} goes where it was shown`;
  },

  async indentation(example) {
    const program = PROGRAM.replaceAll('    ', '\t');
    await repeated(example, 'indentation', '\tpar', 'ser = argp', program);
    const text = await tabbed(example.editor);
    const added = text.slice(program.length);
    same('how the line goes on', added.split('\n')[0], '\tparser = argparse.ArgumentParser(description=__doc__)');
    if (/^ | {2}|\t\t/m.test(added)) throw new Error(`tabs are not kept: ${JSON.stringify(added)}`);
    return `tabs stay tabs: ${JSON.stringify(added)}`;
  },

  async bracket(example) {
    await repeated(example, 'bracket', '    parser = argparse.ArgumentParser', '(');  // VS Code closes it
    same('the text', await tabbed(example.editor), `${PROGRAM}    parser = argparse.ArgumentParser(description=__doc__)`);
    return 'a bracket that the editor has closed is not closed again';
  },

  async openBracket(example) {
    const { editor } = example;
    const names = ['first', 'second', 'third', 'last', 'coldest', 'warmest', 'mean', 'middle'];
    const program = names.map(name => `print_reading(${name}_day)\n${name}_day = None\n\n\n`).join('');
    const ghost = await repeated(example, 'open_bracket', '', 'print_', program);
    same('the ghost text', ghost, 'reading(');
    await editor.press('Tab');
    await editor.changed('accepting with Tab');
    await editor.until('the brackets', 5, async () => (await editor.savedText()).endsWith('print_reading()'));
    await editor.press('Escape');
    await editor.type('x)');
    same('the end of the text', (await editor.savedText()).slice(-16), 'print_reading(x)');
    return 'a bracket at the end is closed as if it were typed, and what closes it is typed over';
  },

  async middle(example) {
    const apart = '    a = 1\n    b = 2\n';  // the line directly above is not suggested
    await repeated(example, 'middle', `${apart}    print(args.p¦)\n    return\n`, 'a');
    same('the text', await tabbed(example.editor), `${PROGRAM}${apart}    print(args.path)\n    return\n`);
    const call = '    report(args.path, args.other)\n';
    await repeated(example, 'middle_words', `${call}${call}${apart}    report(args.p¦, args.other)\n`, 'a');
    same('the text', await tabbed(example.editor), `${PROGRAM}${call}${call}${apart}${call}`);
    return 'in the middle of a line, before brackets and before words';
  },

  async secret(example) {
    // start_code_server.sh has a .env taken for Python: only its name makes it a secret.
    const { editor } = example;
    const typed = await example.typed('secret', { file: '.env' });
    await editor.noGhostText('a .env is open');
    const text = await editor.savedText();
    if (!text.includes(typed)) throw new Error(`it was not typed there: ${JSON.stringify(text)}`);
    return 'silent in a .env';
  },

  async readonly(example) {
    const { editor } = example;
    await editor.open('readonly.py', `${PROGRAM}    parser = arg`);
    await editor.command('File: Set Active Editor Read-only in Session');
    await editor.type('p');
    await editor.noGhostText('it may only be read');
    await editor.press('Tab');
    same('tabs with changes', await editor.page.locator('.tab.active.dirty').count(), 0);
    same('messages', await editor.page.locator('.notification-list-item').count(), 0);
    return 'where nothing can be typed, nothing is suggested or said';
  },

  async large(example) {
    const { editor } = example;
    const line = '    the_sum_of_all = the_sum_of_all + what_is_added_to_it\n';
    const much = `def add():\n${line.repeat(5_000_000 / line.length)}`;
    const begun = `${much}${PROGRAM}    parser = `;
    await editor.open('large.py', begun);
    let typed = '';
    let inLarge = '';
    // VS Code waits 750 ms for ghost text, and then for its menu instead, until the next key. With a file like this just
    // opened it may be busy for longer itself.
    for (const keys of ['argp', 'a', 'r', 's']) {
      await editor.type(keys);
      typed += keys;
      inLarge = await editor.settledGhostText(10).catch(() => '');
      if (inLarge) break;
    }
    if (!inLarge) throw new Error(`no ghost text after ${typed}`);
    same('its length', (await editor.savedText()).length, (begun + typed).length);
    const inAnother = await example.suggested('after_large');
    return `in 5 MB: ${JSON.stringify(inLarge)}, and in another file then: ${JSON.stringify(inAnother)}`;
  },
};
