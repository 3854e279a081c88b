import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { dirname, isAbsolute, join } from 'node:path';
import { createInterface } from 'node:readline';
import { type CancellationToken, commands, type LogOutputChannel, type Progress, ProgressLocation, window, workspace } from 'vscode';
import { locate, programIn, runs } from './command';
import { alone } from './lock';

const NEEDED = [3, 11] as const;
const PYTHONS = ['python3', 'python'];
/** So many lines of what pip said last are looked at for what went wrong. */
const LAST_LINES = 50;

/** Where all of it comes from, and goes to. */
export interface Places {
  /** The environment that is made. */
  environment: string;
  /** The folder of the wheel that the extension may bring. */
  wheels: string;
  /** The setting: an index's address, or a folder. */
  installFrom: string;
  /** The setting: the address of an index with PyTorch for the processor alone; empty: none is known. */
  torchIndex: string;
}

/** Installs the server into an environment of its own, if the user agrees; whether it is there now. */
export async function install(places: Places, log: LogOutputChannel): Promise<boolean> {
  try {
    if (!workspace.isTrusted) throw new Error('nothing is installed from a workspace that is not trusted');
    const python = await findPython(log);
    const source = sourceOf(places);
    const index = await agree(places, source.words);
    if (!index) return false;
    return await window.withProgress(
      { location: ProgressLocation.Notification, title: 'Installing tinycopilot', cancellable: true },
      (progress, token) => {
        mkdirSync(dirname(places.environment), { recursive: true });
        return alone(`${places.environment}.lock`, () => make(python, places.environment, [...index, ...source.pip], log, progress, token));
      },
    );
  } catch (error) {
    const message = `The server was not installed: ${(error as Error).message}`;
    log.error(message);
    if (await window.showErrorMessage(`tinycopilot: ${message}`, 'Show the log')) log.show(true);
    return false;
  }
}

/** The first Python that will do. Throws what is wrong with those that are there. */
async function findPython(log: LogOutputChannel): Promise<string> {
  const wrong: string[] = [];
  for (const name of PYTHONS) {
    const python = locate(name);
    const problem = python ? await problemOf(python) : 'is not on the PATH';
    log.info(`install: ${python ?? name} ${problem || 'will do'}`);
    if (python && !problem) return python;
    wrong.push(`${name} ${problem}`);
  }
  throw new Error(`Python ${NEEDED.join('.')} or later is needed, but ${wrong.join(', and ')}.`);
}

/** What is wrong with an interpreter, as "it ..." goes on; empty if nothing is. */
function problemOf(python: string): Promise<string> {
  const ask = 'import sys; print("%d.%d" % sys.version_info[:2]); import ensurepip, venv';
  return new Promise(resolve => execFile(python, ['-I', '-c', ask], { timeout: 10_000 }, (error, said) => {
    const [major = 0, minor = 0] = said.trim().split('.').map(Number);
    if (!major) return resolve('does not run');
    if (major < NEEDED[0] || (major === NEEDED[0] && minor < NEEDED[1])) return resolve(`is Python ${said.trim()}`);
    resolve(error ? 'has no module venv or ensurepip (in Debian and Ubuntu: the package python3-venv)' : '');
  }));
}

/** What pip is to install from, and in words. Throws for a setting that names neither an index nor a folder. */
export function sourceOf({ wheels, installFrom }: Places): { pip: string[]; words: string } {
  const wheel = wheelIn(wheels);
  if (wheel) return { pip: [wheel], words: 'The package comes with this extension, the others that it needs from PyPI' };
  // No index is asked for the package by its name alone: whoever owns that name there would run on the user's machine.
  if (!installFrom) throw new Error('this extension brings no wheel of the package; name an index or a folder that has it in the setting tinycopilot.installFrom.');
  if (/^https?:\/\//.test(installFrom)) return { pip: ['--index-url', installFrom, 'tinycopilot'], words: `It comes from ${installFrom}` };
  if (!isAbsolute(installFrom)) throw new Error(`the setting tinycopilot.installFrom must be an address or a whole path, not "${installFrom}".`);
  const here = wheelIn(installFrom);
  if (!here) throw new Error(`in ${installFrom}, which the setting tinycopilot.installFrom names, is no wheel of tinycopilot.`);
  return { pip: [here], words: `The package comes from ${installFrom}, the others that it needs from PyPI` };
}

/** The tinycopilot wheel in a folder, the last by its name. */
function wheelIn(folder: string): string | undefined {
  try {
    const wheel = readdirSync(folder).filter(name => /^tinycopilot-.*\.whl$/.test(name)).sort().at(-1);
    return wheel && join(folder, wheel);
  } catch {
    return undefined;
  }
}

/** Says what will be loaded, before it is. What pip is told besides; undefined: the user would rather not. */
async function agree({ environment, torchIndex }: Places, words: string): Promise<string[] | undefined> {
  const cpu = 'Install, for the processor alone';
  const setting = 'Open the setting';
  const isLinux = process.platform === 'linux';
  const other = isLinux ? 'Install, with CUDA' : 'Install';
  const small = torchIndex ? `about 200 MB, from ${torchIndex}` : 'about 200 MB: name its index in the setting tinycopilot.torchIndex first';
  const size = isLinux
    ? `For the processor alone, which is all that it needs, PyTorch is a download of ${small}. With CUDA, as PyPI has it for Linux, it is several GB.`
    : 'PyTorch, which it needs, is a download of about 200 MB.';
  const choices = isLinux ? [torchIndex ? cpu : setting, other] : [other];
  const choice = await window.showInformationMessage('Install the tinycopilot server?', {
    modal: true,
    detail: `${size} ${words}. It goes into an environment of its own, ${environment}; nothing else on this machine changes.`,
  }, ...choices);
  if (choice === setting) void commands.executeCommand('workbench.action.openSettings', 'tinycopilot.torchIndex');
  if (!choice || choice === setting) return undefined;
  return choice === cpu ? ['--extra-index-url', torchIndex] : [];
}

/** Makes the environment, or brings what is in it up to date. What was begun and cannot be finished is deleted. */
async function make(
  python: string, environment: string, packages: string[], log: LogOutputChannel,
  progress: Progress<{ message: string }>, token: CancellationToken,
): Promise<boolean> {
  const isNew = !await isWhole(environment);
  try {
    if (isNew) {
      rmSync(environment, { recursive: true, force: true });
      progress.report({ message: 'making an environment' });
      await run(python, ['-I', '-m', 'venv', environment], log, token);
    }
    const pip = programIn(environment, 'python');
    if (!pip) throw new Error(`${environment} has no Python.`);
    const options = ['--upgrade', '--no-input', '--disable-pip-version-check', '--progress-bar', 'off'];
    await run(pip, ['-I', '-m', 'pip', 'install', ...options, ...packages], log, token, line => {
      if (/^ *(Collecting|Downloading|Installing) /.test(line)) progress.report({ message: line.trim().slice(0, 80) });
    });
    if (!programIn(environment)) throw new Error('the package that was installed has no program tinycopilot-server.');
    log.info(`installed into ${environment}`);
    return true;
  } catch (error) {
    if (isNew) rmSync(environment, { recursive: true, force: true });
    if (token.isCancellationRequested) return false;
    throw error;
  }
}

/** Whether something can be installed into it: its Python may have gone from this machine, or pip from it. */
async function isWhole(environment: string): Promise<boolean> {
  const python = programIn(environment) && programIn(environment, 'python');
  return python !== undefined && runs(python, '-I', '-m', 'pip', '--version');
}

/** Runs a program to its end, with all that it says in the log. Throws its last error, in a line. */
function run(
  program: string, args: string[], log: LogOutputChannel, token: CancellationToken, heard: (line: string) => void = () => undefined,
): Promise<void> {
  log.info(`install: ${program} ${args.join(' ')}`);
  return new Promise((resolve, reject) => {
    const child: ChildProcess = spawn(program, args, { cwd: dirname(program), stdio: ['ignore', 'pipe', 'pipe'] });
    const stopping = token.onCancellationRequested(() => child.kill());
    const last: string[] = [];
    for (const stream of [child.stdout, child.stderr]) {
      if (stream) createInterface({ input: stream }).on('line', line => {
        log.info(line);
        heard(line);
        last.push(line);
        if (last.length > LAST_LINES) last.shift();
      });
    }
    child.on('error', error => { stopping.dispose(); reject(error); });
    child.on('close', code => {
      stopping.dispose();
      if (code === 0) return resolve();
      const why = last.filter(line => /error/i.test(line)).at(-1) ?? last.at(-1) ?? '';
      reject(new Error(`${why.replace(/^error: */i, '').slice(0, 300) || `${program} ended with ${code}`}`));
    });
    if (token.isCancellationRequested) child.kill();
  });
}
