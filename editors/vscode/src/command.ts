import { accessSync, constants, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, isAbsolute, join } from 'node:path';

export interface Command {
  command: string;
  args: string[];
}

/** What starts the server, or why nothing does, said to the user. */
export function findServer(setting: string[]): Command | { missing: string } {
  const [name = 'tinycopilot-server', ...args] = setting;
  const command = locate(name.replace(/^~(?=[/\\])/, homedir()));
  if (command) return { command, args };
  return {
    missing: setting.length > 0
      ? `There is no program "${name}", which the setting tinycopilot.serverCommand names.`
      : 'The program tinycopilot-server is not on the PATH. Install the Python package tinycopilot, '
        + 'or name the program in the setting tinycopilot.serverCommand.',
  };
}

/** The program's full path. Nothing relative is looked at: in a relative folder a workspace could plant a program. */
function locate(name: string): string | undefined {
  const folders = (process.env['PATH'] ?? '').split(delimiter).filter(isAbsolute);
  const endings = process.platform === 'win32' ? ['', '.exe'] : [''];
  const candidates = isAbsolute(name) ? [name] : folders.map(folder => join(folder, name));
  return candidates.flatMap(path => endings.map(ending => path + ending)).find(isProgram);
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
