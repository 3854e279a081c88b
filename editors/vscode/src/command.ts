// Choose the program that starts the server: from the setting, the workspace, the Python extension, the PATH, the clone, or
// the extension's own environment.
import { execFile } from 'node:child_process';
import { accessSync, constants, realpathSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, dirname, isAbsolute, join, relative, sep } from 'node:path';
import { type Extension, extensions, type LogOutputChannel, type Uri, workspace } from 'vscode';
import { within } from './time';

/** A program and its arguments. */
export interface Command {
  command: string;
  args: string[];
}

/** The clone of tinycopilot that this extension was built in; "" if it was built for other machines. See build.mjs. */
declare const CLONE: string;

const PROGRAM = 'tinycopilot-server';
const IS_WINDOWS = process.platform === 'win32';
/** The folder of programs in a Python environment. */
const PROGRAMS = IS_WINDOWS ? 'Scripts' : 'bin';
const PYTHON_MS = 10_000;

/**
 * Finds the command that starts the server, or a message that says why there is none. Order: the setting; the workspace's
 * environment; that of the Python extension, which is activated only if `mayActivate`; the PATH; the environment that
 * `make demo` creates in the clone; `own`, the environment that install.ts creates. The choice is logged.
 */
export async function findServer(
  setting: string[], own: string, log: LogOutputChannel, mayActivate = true,
): Promise<Command | { missing: string }> {
  if (setting.length > 0) return named(setting, log);
  const trusted = workspace.isTrusted ? workspaceServer(log) ?? await pythonServer(mayActivate, log) : undefined;
  if (!workspace.isTrusted) log.info('server: skipped the workspace and its Python environment: the workspace is not trusted');
  return trusted
    ?? found(locate(PROGRAM), 'on the PATH', log)
    ?? found(cloneServer(), 'in the clone that the extension was built in', log)
    ?? found(programIn(own), "in the extension's own environment", log)
    ?? { missing: `${PROGRAM} was not found: ${searched()}. Set tinycopilot.serverCommand to its full path.` };
}

function searched(): string {
  if (workspace.isTrusted) return "it is neither in the workspace's environment nor on the PATH";
  return 'it is not on the PATH, and the workspace\'s environment is used only if you trust the workspace';
}

function named([name = '', ...args]: string[], log: LogOutputChannel): Command | { missing: string } {
  return found(locate(name.replace(/^~(?=[/\\])/, homedir())), 'from the tinycopilot.serverCommand setting', log, args)
    ?? { missing: `The program "${name}" in the tinycopilot.serverCommand setting was not found. The setting is a list: the program's full path, then its arguments.` };
}

function found(command: string | undefined, why: string, log: LogOutputChannel, args: string[] = []): Command | undefined {
  log.info(command ? `server: ${command}: ${why}` : `server: none ${why}`);
  return command ? { command, args } : undefined;
}

/** The server in a virtual environment of the workspace. */
function workspaceServer(log: LogOutputChannel): Command | undefined {
  const folders = workspace.workspaceFolders?.filter(({ uri }) => uri.scheme === 'file') ?? [];
  const environments = folders.flatMap(({ uri }) => ['.venv', 'venv'].map(name => join(uri.fsPath, name)));
  return found(environments.map(environment => programIn(environment)).find(Boolean), 'in .venv or venv of the workspace', log);
}

/** The server in the clone, unless the clone is the open workspace and not trusted. */
function cloneServer(): string | undefined {
  const clone = CLONE;
  const isOpen = () => workspace.workspaceFolders?.some(({ uri }) => contains(uri.fsPath, clone));
  return clone && (workspace.isTrusted || !isOpen()) ? programIn(join(clone, '.venv')) : undefined;
}

/** Whether `path` is `folder` or in it. Links are resolved; `relative` ignores case on Windows. */
function contains(folder: string, path: string): boolean {
  const way = relative(realPath(folder), realPath(path));
  return !isAbsolute(way) && way.split(sep)[0] !== '..';
}

/** The path with links resolved; the same path if it does not exist. */
function realPath(path: string): string {
  try {
    return realpathSync.native(path);
  } catch {
    return path;
  }
}

/** The part of the Python extension's API that we use. */
interface Environments {
  getActiveEnvironmentPath(resource?: Uri): { path: string };
  resolveEnvironment(path: { path: string }): Promise<{ executable: { uri?: Uri } } | undefined>;
}

/** The server next to the interpreter that is selected in the Python extension, or that interpreter with the module. */
async function pythonServer(mayActivate: boolean, log: LogOutputChannel): Promise<Command | undefined> {
  const extension = extensions.getExtension<{ environments?: Environments }>('ms-python.python');
  if (!extension) return found(undefined, 'from the Python extension, which is not installed', log);
  if (!mayActivate && !extension.isActive) return found(undefined, 'from the Python extension, which is not active yet', log);
  let python: string | undefined;
  try {
    python = await within(PYTHON_MS, chosenPython(extension));
  } catch (error) {
    return found(undefined, `from the Python extension, which failed: ${error instanceof Error ? error.message : error}`, log);
  }
  if (!python || !isAbsolute(python)) return found(undefined, 'from the Python extension, in which no interpreter is selected', log);
  const beside = programAt(join(dirname(python), PROGRAM));
  if (beside) return found(beside, 'next to the interpreter selected in the Python extension', log);
  const hasModule = await runs(python, '-P', '-c', 'import importlib.util as i, sys; sys.exit(not i.find_spec("tinycopilot_server"))');
  return found(hasModule ? python : undefined, `for ${python}, selected in the Python extension`, log, ['-P', '-m', 'tinycopilot_server']);
}

async function chosenPython(extension: Extension<{ environments?: Environments }>): Promise<string | undefined> {
  const { environments } = await extension.activate();
  const path = environments?.getActiveEnvironmentPath(workspace.workspaceFolders?.[0]?.uri);
  const environment = path && await environments?.resolveEnvironment(path);
  return environment?.executable.uri?.fsPath;
}

/** Whether a program exits with 0. It does not run in the workspace, which may contain modules. */
export function runs(program: string, ...args: string[]): Promise<boolean> {
  return new Promise(resolve => execFile(program, args, { cwd: homedir(), timeout: PYTHON_MS }, error => resolve(!error)));
}

/** The path of a program in a Python environment, if it exists. */
export function programIn(environment: string, name: string = PROGRAM): string | undefined {
  return programAt(join(environment, PROGRAMS, name));
}

/** The command that runs `tinycopilot` from the server's environment. */
export function programBeside({ command, args }: Command): { command: string | undefined; args: string[] } {
  if (args.includes('tinycopilot_server')) return { command, args: args.map(word => word.replace('tinycopilot_server', 'tinycopilot')) };
  return { command: programAt(join(dirname(realpathSync(command)), 'tinycopilot')), args: [] };
}

/** The program's full path. Relative folders on the PATH are ignored: a workspace could plant a program there. */
export function locate(name: string): string | undefined {
  const folders = (process.env['PATH'] ?? '').split(delimiter).filter(isAbsolute);
  return (isAbsolute(name) ? [name] : folders.map(folder => join(folder, name))).map(programAt).find(Boolean);
}

/** The path, on Windows with `.exe` added if necessary, if it is a program. There, scripts would need a shell. */
function programAt(path: string): string | undefined {
  const program = IS_WINDOWS && !/\.exe$/i.test(path) ? `${path}.exe` : path;
  return isProgram(program) ? program : undefined;
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return IS_WINDOWS || statSync(path).isFile();  // of programs from the Microsoft Store, statSync throws
  } catch {
    return false;
  }
}
