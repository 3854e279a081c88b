// Finds the language server processes of VS Code's windows (Linux only).
import { readdirSync, readFileSync } from 'node:fs';

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
