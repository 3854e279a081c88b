// Checks of the language server's process in VS Code: several windows, crashes, restarts (Linux only). Run by
// vscode_ghost_text.mjs.
import { readdirSync, readFileSync } from 'node:fs';
import { assertEqual } from './vscode_page.mjs';

function commandOf(pid) {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
  } catch {
    return '';  // it has exited
  }
}

function parentOf(pid) {
  try {
    return Number(readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /s, '').split(' ')[1]);
  } catch {
    return 0;
  }
}

/** Whether the command of the process or of an ancestor contains `text`. */
function descendsFrom(pid, text) {
  for (; pid > 1; pid = parentOf(pid)) if (commandOf(pid).includes(text)) return true;
  return false;
}

/** The servers of all windows of the VS Code on `port`, as `{ pid, host }`: their process and the extension host's. */
export function servers(port) {
  return readdirSync('/proc').filter(name => /^\d+$/.test(name)).map(Number)
    .filter(pid => /tinycopilot[-_]server/.test(commandOf(pid)))
    .map(pid => ({ pid, host: parentOf(pid) }))
    .filter(({ host }) => commandOf(host).includes('--type=extensionHost') && descendsFrom(host, `127.0.0.1:${port} `));
}

export const SERVERS = {
  async windows(example) {
    const { editor, port } = example;
    const pid = example.server().pid;
    const n = servers(port).length;
    const second = await example.window('second.py');
    try {
      await second.waitUntilReady();
      await second.type(example.lastKeys);
      await second.stableGhostText();
      await editor.page.bringToFront();
      await example.ghostTextInCopy('first');
    } finally {
      await second.close();
    }
    await editor.waitFor('exit of its server', 30, () => servers(port).length === n);
    await editor.page.bringToFront();
    const ghost = await example.ghostTextInCopy('alone');
    assertEqual('server process', example.server().pid, pid);
    return `two windows on one folder each have a server; after closing one, the other still suggests ${JSON.stringify(ghost)}`;
  },

  async killed(example) {
    const { editor } = example;
    await example.ghostTextInCopy('killed');
    const before = example.server().pid;
    await editor.waitForStatuses(['tinycopilot', 'tinycopilot: ready'], () => process.kill(before, 'SIGKILL'));
    if (example.server().pid === before) throw new Error('the killed server is still running');
    await example.retypeLastKey();
    return `after a kill, a new server suggests ${JSON.stringify(await editor.stableGhostText())}`;
  },

  async killedOften(example) {
    const { editor } = example;
    const text = async () => editor.item.first().textContent();
    let n = 0;
    while ((await text()).includes('ready')) {
      process.kill(example.server().pid, 'SIGKILL');
      n++;
      await editor.waitFor('another status', 20, async () => !(await text()).includes('ready'));
      await editor.waitFor('status ready or error', 60, async () => /ready|error/.test(await text()));
    }
    await editor.waitForMessage('The server stopped five times in three minutes.');
    assertEqual('running server', example.server(), undefined);
    await editor.waitForStatuses(['tinycopilot', 'tinycopilot: ready'], () => editor.command('tinycopilot: Restart the server'));
    return `after ${n} more kills, an error is shown; a restart by the user works`;
  },

  async restarted(example) {
    const { editor, port } = example;
    const ownServers = () => servers(port).filter(({ host }) => host === example.host);
    for (let n = 0; n < 3; n++) await editor.command('tinycopilot: Restart the server');
    await editor.waitFor('one server that is ready', 30, async () =>
      (await editor.item.first().textContent()).includes('ready') && ownServers().length === 1);
    await example.ghostTextInCopy('restarted');
    assertEqual('running servers', ownServers().length, 1);
    return 'three quick restarts leave one server, which suggests';
  },
};
