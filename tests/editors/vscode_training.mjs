// A complete training run in VS Code. Run by vscode_ghost_text.mjs.
import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { assertEqual } from './vscode_page.mjs';

const N_FILES = 10;
const N_LINES = 30;

/** Writes enough code to train on. It is random, so that even a few training steps can improve the model. */
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
    await editor.press('Control+Alt+t');  // bound by start_code_server.sh: the menu offers at least two minutes
    await editor.waitForMessage('training on this workspace', 60);
    await editor.waitForStatus('busy');
    const message = await editor.waitForMessage(' -> ', 300);
    const [figures] = message.match(/[\d.]+ -> [\d.]+ bits per character/) ?? [];
    if (!figures) throw new Error(`no figures before and after: ${JSON.stringify(message)}`);
    await editor.waitForStatus('ready');
    await editor.press('Control+Alt+o');  // the server's log
    await editor.waitFor('server.log in the editor', 20, async () => (await editor.page.locator('.tab.active').textContent()).includes('server.log'));
    await editor.press('Control+f');
    await editor.type('training: done');
    await editor.press('Enter');
    await editor.waitFor('the result in the log', 10, async () => (await editor.visibleText()).includes(figures));
    // The number of training steps depends on the machine, so the result may or may not be better.
    const isBetter = message.includes('in use');
    const isLoaded = /model: .*workspaces/.test(await editor.visibleText());
    assertEqual('whether the new model is loaded', isLoaded, isBetter);
    return `${figures}: ${isBetter ? 'the new model is in use' : 'not better, so the model is unchanged'}`;
  },
};
