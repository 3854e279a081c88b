// Checks of notebooks in VS Code. Run by vscode_ghost_text.mjs.
import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { assertEqual } from './vscode_page.mjs';

const REST = 'coatlus_wingspan';
const FIRST_CELL = 'quetzalcoatlus_wingspan = 11\nprint(quetzalcoatlus_wingspan)\nprint(quetzalcoatlus_wingspan)';

/** The content of a Jupyter file with these cells: Markdown if the source starts with `#`, else code. */
function notebook(...sources) {
  const cells = sources.map(source => source.startsWith('#')
    ? { cell_type: 'markdown', metadata: {}, source: [source] }
    : { cell_type: 'code', metadata: {}, execution_count: null, outputs: [], source: source.split(/(?<=\n)/) });
  const language = { display_name: 'Python 3', language: 'python', name: 'python3' };
  return JSON.stringify({ cells, metadata: { kernelspec: language, language_info: { name: 'python' } }, nbformat: 4, nbformat_minor: 2 });
}

/** The sources of the code cells in the saved file. */
async function savedCells({ editor }) {
  const { cells } = JSON.parse(await editor.savedText());
  return cells.filter(cell => cell.cell_type === 'code').map(({ source }) => [source].flat().join(''));
}

export const NOTEBOOKS = {
  async notebook(example) {
    const { editor } = example;
    editor.file = join(dirname(editor.file), 'birds.ipynb');
    writeFileSync(editor.file, notebook('# Birds', FIRST_CELL, 'x = 1'));
    await editor.pick(editor.file, 'birds.ipynb');
    const cells = editor.page.locator('.notebook-editor .code-cell-row .monaco-editor');
    const waitForCells = n => editor.waitFor(`${n} code cells`, 60, async () => await cells.count() === n);
    const typeAndCheck = async (where, keys) => {
      await editor.type(keys);
      assertEqual(`ghost text ${where}`, (await editor.stableGhostText())?.slice(0, REST.length), REST);
    };
    await waitForCells(2);
    await cells.nth(1).click();
    await editor.press('Control+End');
    await editor.press('Enter');
    await typeAndCheck('in the second cell', 'y = quetzal');
    await example.takeNotebookScreenshot();
    await editor.press('Tab');
    await editor.waitFor('the accepted text in the file', 20, async () =>
      (await savedCells(example)).at(-1).startsWith('x = 1\ny = quetzalcoatlus_wingspan'));
    await editor.command('Notebook: Insert Code Cell Below');
    await waitForCells(3);
    await typeAndCheck('in a new cell', 'z = quetzal');
    await editor.command('Notebook: Move Cell Up');
    await editor.waitFor('the moved cell in the file', 20, async () => (await savedCells(example)).at(1) === 'z = quetzal');
    await cells.nth(1).click();
    await editor.press('Control+End');
    await typeAndCheck('in a moved cell', ' + quetzal');
    await editor.command('Notebook: Delete Cell');
    await waitForCells(2);
    await cells.nth(1).click();
    await editor.press('Control+End');
    await typeAndCheck('after deleting a cell', ' + quetzal');
    return 'suggests a name from the first cell in the second, in a new and in a moved one, and after deleting one';
  },
};
