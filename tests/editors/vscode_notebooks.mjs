// Checks of notebooks in real VS Code. Run by vscode_ghost_text.mjs.
import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { same } from './vscode_page.mjs';

const ABOVE = 'quetzalcoatlus_wingspan = 11\nprint(quetzalcoatlus_wingspan)\nprint(quetzalcoatlus_wingspan)';

/** A Jupyter file with these cells: the code of each, or Markdown after a `#`. */
function notebook(...sources) {
  const cells = sources.map(source => source.startsWith('#')
    ? { cell_type: 'markdown', metadata: {}, source: [source] }
    : { cell_type: 'code', metadata: {}, execution_count: null, outputs: [], source: source.split(/(?<=\n)/) });
  const language = { display_name: 'Python 3', language: 'python', name: 'python3' };
  return JSON.stringify({ cells, metadata: { kernelspec: language, language_info: { name: 'python' } }, nbformat: 4, nbformat_minor: 2 });
}

/** The code cells in the saved file. */
async function savedCells({ editor }) {
  const { cells } = JSON.parse(await editor.savedText());
  return cells.filter(cell => cell.cell_type === 'code').map(({ source }) => [source].flat().join(''));
}

export const NOTEBOOKS = {
  async notebook(example) {
    const { editor } = example;
    editor.file = join(dirname(editor.file), 'birds.ipynb');
    writeFileSync(editor.file, notebook('# Birds', ABOVE, 'x = 1'));
    await editor.pick(editor.file, 'birds.ipynb');
    const cells = editor.page.locator('.notebook-editor .code-cell-row .monaco-editor');
    const count = n => editor.until(`${n} cells with code`, 60, async () => await cells.count() === n);
    const suggested = async (what, keys) => {
      await editor.type(keys);
      same(`the ghost text ${what}`, await editor.settledGhostText(), 'coatlus_wingspan');
    };
    await count(2);
    await cells.nth(1).click();
    await editor.press('Control+End');
    await editor.press('Enter');
    await suggested('in the second cell', 'y = quetzal');
    await example.notebookPicture();
    await editor.press('Tab');
    await editor.until('the accepted text in the file', 20, async () =>
      (await savedCells(example)).at(-1) === 'x = 1\ny = quetzalcoatlus_wingspan');
    await editor.command('Notebook: Insert Code Cell Below');
    await count(3);
    await suggested('in a new cell', 'z = quetzal');
    await editor.command('Notebook: Move Cell Up');
    await editor.until('the moved cell in the file', 20, async () => (await savedCells(example)).at(1) === 'z = quetzal');
    await cells.nth(1).click();
    await editor.press('Control+End');
    await suggested('in a moved cell', ' + quetzal');
    await editor.command('Notebook: Delete Cell');
    await count(2);
    await cells.nth(1).click();
    await editor.press('Control+End');
    await suggested('after a cell was deleted', ' + quetzal');
    return 'in the second cell, a name of the first one; the same in a new and a moved cell, and after one was deleted';
  },
};
