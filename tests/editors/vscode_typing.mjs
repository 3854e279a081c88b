// Checks of ghost text in VS Code. Run by vscode_ghost_text.mjs.
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { assertEqual } from './vscode_page.mjs';

/** A program; typing parts of it again gives suggestions of several lines. */
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

/** A program with two different continuations of `return`. */
const TWO_WAYS = `def kelvin_from(reading):
    return celsius_of(reading) + 273.15


def rankine_from(reading):
    return fahrenheit_of(reading) + 459.67


def degrees_from(reading):
`;

/** Accepts the suggestion, checks that exactly `ghost` is inserted at the cursor, and returns the text before that. */
async function accept(example, ghost, lineEnd = '\n') {
  const { editor, line } = example;
  const before = await editor.savedText();
  await editor.press('Tab');
  await editor.waitForChange('accepting with Tab');
  const after = await editor.savedText();
  const at = before.lastIndexOf(line.trim().slice(-4)) + 4;
  assertEqual('the text after Tab', after, before.slice(0, at) + ghost.replaceAll('\n', lineEnd) + before.slice(at));
  return before;
}

/** Opens a file with `program` and `lines`, types `keys` at the `¦` or the end, and returns the ghost text. */
async function openAndType({ editor }, name, lines, keys, program = PROGRAM) {
  await editor.open(`${name}.py`, program + lines);
  await editor.type(keys);
  return editor.stableGhostText();
}

/** Accepts with Tab, and returns the text. */
async function acceptWithTab(editor) {
  await editor.press('Tab');
  await editor.waitForChange('accepting with Tab');
  return editor.savedText();
}

export const TYPING = {
  async tab(example) {
    const ghost = await example.ghostTextInCopy('tab');
    await example.takeScreenshot();
    await accept(example, ghost);
    return `shown and accepted: ${JSON.stringify(ghost)}`;
  },

  async undo(example) {
    const { editor } = example;
    const before = await accept(example, await example.ghostTextInCopy('undo'));
    await editor.press('Control+z');
    await editor.waitForChange('undoing');
    assertEqual('the text after one undo', await editor.savedText(), before);
    return 'one undo removes the accepted text';
  },

  async word(example) {
    const { editor } = example;
    const ghost = await example.ghostTextInCopy('word');
    const before = await editor.savedText();
    await editor.press('Control+ArrowRight');
    await editor.waitForChange('accepting a word');
    const rest = await editor.stableGhostText();
    const after = await editor.savedText();
    const word = ghost.slice(0, ghost.length - rest.length);
    if (!word || word + rest !== ghost) throw new Error(`after accepting a word of ${JSON.stringify(ghost)}, ${JSON.stringify(rest)} is left`);
    assertEqual('number of inserted characters', after.length - before.length, word.length);
    return `of ${JSON.stringify(ghost)}, ${JSON.stringify(word)} was accepted, and ${JSON.stringify(rest)} is left`;
  },

  async line(example) {
    const { editor } = example;
    const ghost = await openAndType(example, 'line', '    par', 'ser = arg');
    const [first, ...others] = ghost.split('\n');
    if (others.length === 0) throw new Error(`this check needs several lines, not ${JSON.stringify(ghost)}`);
    const before = await editor.savedText();
    await editor.press('Control+Alt+l');  // bound by start_code_server.sh
    await editor.waitForChange('accepting a line');
    const rest = await editor.stableGhostText();
    assertEqual('the text after accepting a line', (await editor.savedText()).trimEnd(), before + first);
    if (!others[0].trim().startsWith(rest.split('\n')[0].trim())) throw new Error(`after accepting a line of ${JSON.stringify(ghost)}, ${JSON.stringify(rest)} is left`);
    return `of ${1 + others.length} lines, the first was accepted, and ${JSON.stringify(rest)} is left`;
  },

  async firstLine(example) {
    const { editor } = example;
    const settings = join(dirname(editor.file), '.vscode', 'settings.json');
    mkdirSync(dirname(settings), { recursive: true });
    const hint = () => editor.page.evaluate(() => [...document.querySelectorAll('.editor-instance .view-line span')]
      .map(span => getComputedStyle(span, '::after').content).find(content => /^"\+\d+ line/.test(content)));
    try {
      writeFileSync(settings, '{ "tinycopilot.multiline": "firstLine" }');
      await openAndType(example, 'first_line', '    par', 'ser = arg');
      const retype = () => editor.waitFor('the number of the hidden lines', 20, async () => {
        await editor.press('Backspace');
        await editor.type('g');
        await editor.stableGhostText();
        return hint();
      });
      await retype();
      await editor.press('Escape');
      await editor.assertNoGhostText('Esc was pressed');
      assertEqual('the hint after Esc', await hint(), undefined);
      const number = await retype();
      const first = await editor.ghostText();
      assertEqual('lines of ghost text', first.split('\n').length, 1);
      const before = await editor.savedText();
      await example.takeFoldedScreenshot();
      await editor.press('Tab');
      await editor.waitForChange('accepting with Tab');
      const rest = await editor.stableGhostText();
      assertEqual('the text after the first Tab', (await editor.savedText()).trimEnd(), before + first);
      assertEqual('the hint after the first Tab', await hint(), undefined);
      assertEqual('number of further lines', parseInt(number.slice(2)), rest.trim().split('\n').length);
      return `${JSON.stringify(first)} ${number}, then ${JSON.stringify(rest)}`;
    } finally {
      writeFileSync(settings, '{}');
    }
  },

  async alternatives(example) {
    const { editor } = example;
    await openAndType(example, 'alternatives', '    re', 'tu', TWO_WAYS);
    await editor.command('Trigger Inline Suggestion');
    const first = await editor.stableGhostText();
    const pressAndWait = key => editor.press(key).then(() => editor.stableGhostText());
    const other = await pressAndWait('Alt+]');
    if (other === first) throw new Error(`Alt+] shows the same suggestion: ${JSON.stringify(first)}`);
    assertEqual('back with Alt+[', await pressAndWait('Alt+['), first);
    return `Alt+] changes ${JSON.stringify(first)} to ${JSON.stringify(other)}, and Alt+[ back`;
  },

  async through(example) {
    const { editor } = example;
    const ghost = await example.ghostTextInCopy('through');
    for (let n = 1; n < Math.min(4, ghost.length); n++) {
      await editor.type(ghost[n - 1]);
      await editor.waitFor(`ghost text ${JSON.stringify(ghost.slice(n))} after ${n} typed characters`, 5, async () => await editor.ghostText() === ghost.slice(n));
    }
    return `the suggestion stays while it is typed: ${JSON.stringify(ghost)}`;
  },

  async escape(example) {
    const { editor } = example;
    await example.ghostTextInCopy('escape');
    const before = await editor.savedText();
    await editor.press('Escape');
    await editor.assertNoGhostText('Esc was pressed');
    assertEqual('the text after Esc', await editor.savedText(), before);
    return 'Esc dismisses the suggestion, and changes no text';
  },

  async crlf(example) {
    const { editor } = example;
    await accept(example, await example.ghostTextInCopy('crlf', { text: text => text.replaceAll('\n', '\r\n') }), '\r\n');
    const text = await editor.savedText();
    if (/[^\r]\n/.test(text) || !text.includes('\r\n')) throw new Error(`not all line ends are CRLF: ${JSON.stringify(text)}`);
    return 'line ends stay CRLF';
  },

  async emoji(example) {
    const emoji = '_ = "\u{1f321}\u{1f600}"; ';
    const ghost = await example.ghostTextInCopy('emoji', { line: line => line.replace(/^( *)/, `$1${emoji}`) });
    await accept(example, ghost);
    return `after two emoji in the line, ${JSON.stringify(ghost)} is inserted where it was shown`;
  },

  async indentation(example) {
    const program = PROGRAM.replaceAll('    ', '\t');
    await openAndType(example, 'indentation', '\tpar', 'ser = argp', program);
    const text = await acceptWithTab(example.editor);
    const added = text.slice(program.length);
    assertEqual('the completed line', added.split('\n')[0], '\tparser = argparse.ArgumentParser(description=__doc__)');
    if (/^ | {2}|\t\t/m.test(added)) throw new Error(`not only tabs: ${JSON.stringify(added)}`);
    return `indented with tabs: ${JSON.stringify(added)}`;
  },

  async bracket(example) {
    await openAndType(example, 'bracket', '    parser = argparse.ArgumentParser', '(');  // VS Code closes it
    assertEqual('the text', await acceptWithTab(example.editor), `${PROGRAM}    parser = argparse.ArgumentParser(description=__doc__)`);
    return 'no closing bracket is suggested that the editor has already inserted';
  },

  async openBracket(example) {
    const { editor } = example;
    const names = ['first', 'second', 'third', 'last', 'coldest', 'warmest', 'mean', 'middle'];
    const program = names.map(name => `print_reading(${name}_day)\n${name}_day = None\n\n\n`).join('');
    const ghost = await openAndType(example, 'open_bracket', '', 'print_', program);
    assertEqual('the ghost text', ghost, 'reading(');
    await editor.press('Tab');
    await editor.waitForChange('accepting with Tab');
    await editor.waitFor('both brackets', 5, async () => (await editor.savedText()).endsWith('print_reading()'));
    await editor.press('Escape');
    await editor.type('x)');
    assertEqual('the end of the text', (await editor.savedText()).slice(-16), 'print_reading(x)');
    return 'a bracket at the end is closed as if it had been typed; typing the closing bracket replaces it';
  },

  async middle(example) {
    const separator = '    a = 1\n    b = 2\n';  // since the line directly above is not suggested
    await openAndType(example, 'middle', `${separator}    print(args.p¦)\n    return\n`, 'a');
    assertEqual('the text', await acceptWithTab(example.editor), `${PROGRAM}${separator}    print(args.path)\n    return\n`);
    const call = '    report(args.path, args.other)\n';
    await openAndType(example, 'middle_words', `${call}${call}${separator}    report(args.p¦, args.other)\n`, 'a');
    assertEqual('the text', await acceptWithTab(example.editor), `${PROGRAM}${call}${call}${separator}${call}`);
    return 'suggestions in the middle of a line, before brackets and before words';
  },

  async secret(example) {
    // start_code_server.sh makes .env a Python file, so that only its name prevents suggestions.
    const { editor } = example;
    const typed = await example.typeInCopy('secret', { file: '.env' });
    await editor.assertNoGhostText('the file is named .env');
    const text = await editor.savedText();
    if (!text.includes(typed)) throw new Error(`the typed text is missing: ${JSON.stringify(text)}`);
    return 'no suggestions in a .env file';
  },

  async readonly(example) {
    const { editor } = example;
    await editor.open('readonly.py', `${PROGRAM}    parser = arg`);
    await editor.command('File: Set Active Editor Read-only in Session');
    await editor.type('p');
    await editor.assertNoGhostText('the file is read-only');
    await editor.press('Tab');
    assertEqual('modified tabs', await editor.page.locator('.tab.active.dirty').count(), 0);
    assertEqual('messages', await editor.page.locator('.notification-list-item').count(), 0);
    return 'no suggestions and messages in a read-only file';
  },

  async large(example) {
    const { editor } = example;
    const line = '    the_sum_of_all = the_sum_of_all + what_is_added_to_it\n';
    const large = `def add():\n${line.repeat(5_000_000 / line.length)}`;
    const text = `${large}${PROGRAM}    parser = `;
    await editor.open('large.py', text);
    let typed = '';
    let inLarge = '';
    // VS Code waits 750 ms for ghost text before it shows its completion menu instead, until the next key. Shortly after it
    // has opened a file of this size, it may need longer itself. So further keys are typed.
    for (const keys of ['argp', 'a', 'r', 's']) {
      await editor.type(keys);
      typed += keys;
      inLarge = await editor.stableGhostText(10).catch(() => '');
      if (inLarge) break;
    }
    if (!inLarge) throw new Error(`no ghost text after ${typed}`);
    assertEqual('length of the text', (await editor.savedText()).length, (text + typed).length);
    const inAnother = await example.ghostTextInCopy('after_large');
    return `in a 5 MB file: ${JSON.stringify(inLarge)}, and then in another file: ${JSON.stringify(inAnother)}`;
  },
};
