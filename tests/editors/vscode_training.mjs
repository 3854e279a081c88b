// A complete training run in real VS Code. Run by vscode_ghost_text.mjs.
import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { same } from './vscode_page.mjs';

const N_FILES = 10;
const N_LINES = 30;

/** Code enough to learn from; a few steps, if there is time for them, learn that nothing follows from anything in it. */
function writeTables(folder) {
  let state = 1;
  const digit = () => '0123456789ABCDEF'[(state = state * 48271 % 2147483647) >> 8 & 15];
  const line = () => `    "${Array.from({ length: 64 }, digit).join('')}",\n`;
  const table = () => `TABLE = [\n${Array.from({ length: N_LINES }, line).join('')}]\n`;
  for (let n = 0; n < N_FILES; n++) writeFileSync(join(folder, `table_${n}.py`), table());
}

export const TRAINING = {
  async training({ editor }) {
    writeTables(dirname(editor.file));
    await editor.press('Control+Alt+t');  // start_code_server.sh has bound it: the menu offers two minutes at least
    await editor.message('training on this workspace', 60);
    await editor.state('busy');
    const said = await editor.message(' -> ', 300);
    const [figures] = said.match(/[\d.]+ -> [\d.]+ bits per character/) ?? [];
    if (!figures) throw new Error(`no figures before and after: ${JSON.stringify(said)}`);
    await editor.state('ready');
    await editor.press('Control+Alt+o');  // the server's log
    await editor.until('server.log in the editor', 20, async () => (await editor.page.locator('.tab.active').textContent()).includes('server.log'));
    await editor.press('Control+f');
    await editor.type('training: done');
    await editor.press('Enter');
    await editor.until('what the log says', 10, async () => (await editor.shownText()).includes(figures));
    // The number of steps depends on the machine, and so does whether the result is better.
    const isBetter = said.includes('in use');
    const isLoaded = /model: .*workspaces/.test(await editor.shownText());
    same('whether another model was loaded', isLoaded, isBetter);
    return `${figures}: ${isBetter ? 'the new model is in use' : 'not better; the model is unchanged'}`;
  },
};
