import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { dirname, isAbsolute, join } from 'node:path';
import { createInterface } from 'node:readline';
import { type CancellationToken, commands, type LogOutputChannel, type Progress, ProgressLocation, window, workspace } from 'vscode';
import { locate, programIn, runs } from './command';
import { alone } from './lock';

const NEEDED = [3, 11] as const;
/** As pyproject.toml's extra `train` has it. */
const TORCH = 'torch>=2.9';
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
export function install(places: Places, log: LogOutputChannel): Promise<boolean> {
  return reported('The server was not installed', log, async () => {
    const python = await findPython(log);
    const source = sourceOf(places);
    if (!await agree(places, source.words)) return false;
    return withProgress('Installing tinycopilot', places, (progress, token) => make(python, places.environment, source.pip, log, progress, token));
  });
}

/** Adds PyTorch to that environment, if the user agrees; whether it is there now. */
export function installTorch(places: Places, log: LogOutputChannel): Promise<boolean> {
  return reported('PyTorch was not installed', log, async () => {
    const python = programIn(places.environment, 'python');
    if (!python) throw new Error(`${places.environment} has no Python.`);
    const options = await agreeToTorch(places);
    if (!options) return false;
    return withProgress('Installing PyTorch', places, async (progress, token) => {
      try {
        await pip(python, [...options, TORCH], log, progress, token);
        return true;
      } catch (error) {
        if (token.isCancellationRequested) return false;
        throw error;
      }
    });
  });
}

/** Does it in a trusted workspace; shows why it failed. */
async function reported(failure: string, log: LogOutputChannel, work: () => Promise<boolean>): Promise<boolean> {
  try {
    if (!workspace.isTrusted) throw new Error('the workspace is not trusted');
    return await work();
  } catch (error) {
    const message = `${failure}: ${(error as Error).message}`;
    log.error(message);
    if (await window.showErrorMessage(`tinycopilot: ${message}`, 'Show the log')) log.show(true);
    return false;
  }
}

type Report = Progress<{ message: string }>;

/** Shows progress, with a button that cancels; one window at a time changes the environment. */
async function withProgress(
  title: string, { environment }: Places, work: (progress: Report, token: CancellationToken) => Promise<boolean>,
): Promise<boolean> {
  return window.withProgress({ location: ProgressLocation.Notification, title, cancellable: true }, (progress, token) => {
    mkdirSync(dirname(environment), { recursive: true });
    return alone(`${environment}.lock`, () => work(progress, token));
  });
}

/** The first Python that will do. Throws what is wrong with those that are there. */
async function findPython(log: LogOutputChannel): Promise<string> {
  const wrong: string[] = [];
  for (const name of PYTHONS) {
    const python = locate(name);
    const problem = python ? await problemOf(python) : 'is not on the PATH';
    log.info(`install: ${python ?? name} ${problem || 'is suitable'}`);
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
    resolve(error ? 'has no module venv or ensurepip (on Debian and Ubuntu, install python3-venv)' : '');
  }));
}

/** What pip is to install from, and in words. Throws for a setting that names neither an index nor a folder. */
export function sourceOf({ wheels, installFrom }: Places): { pip: string[]; words: string } {
  const wheel = wheelIn(wheels);
  if (wheel) return { pip: [wheel], words: 'The package is included in this extension; its dependencies come from PyPI' };
  // No index is asked for the package by its name alone: whoever owns that name there would run on the user's machine.
  if (!installFrom) throw new Error('this extension does not include the Python package; set tinycopilot.installFrom to a package index or a folder with the wheel, or tinycopilot.serverCommand to an installed server.');
  if (/^https?:\/\//.test(installFrom)) return { pip: ['--index-url', installFrom, 'tinycopilot'], words: `The package comes from ${installFrom}` };
  if (!isAbsolute(installFrom)) throw new Error(`the setting tinycopilot.installFrom must be a URL or an absolute path, not "${installFrom}".`);
  const here = wheelIn(installFrom);
  if (!here) throw new Error(`the folder ${installFrom} (setting tinycopilot.installFrom) contains no tinycopilot wheel.`);
  return { pip: [here], words: `The package comes from ${installFrom}; its dependencies come from PyPI` };
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

/** Asks before the server is downloaded. */
async function agree({ environment }: Places, words: string): Promise<boolean> {
  const choice = await window.showInformationMessage('Install the tinycopilot server?', {
    modal: true,
    detail: `Download: about 81 MB; 336 MB on disk. ${words}. It is installed into a separate environment, ${environment}; `
      + 'nothing else on this machine changes. Training also needs PyTorch, which is offered when you train.',
  }, 'Install');
  return choice === 'Install';
}

/** Asks before PyTorch is downloaded. The options for pip; undefined: not now. */
async function agreeToTorch({ environment, torchIndex }: Places): Promise<string[] | undefined> {
  const cpu = 'Install CPU build';
  const setting = 'Open the setting';
  const isLinux = process.platform === 'linux';
  const other = isLinux ? 'Install CUDA build' : 'Install';
  const small = torchIndex ? `about 200 MB, from ${torchIndex}` : 'about 200 MB; first set its package index in tinycopilot.torchIndex';
  const size = isLinux
    ? `CPU build: ${small}. CUDA build, from PyPI: several GB.`
    : 'Download: about 200 MB.';
  const choices = isLinux ? [torchIndex ? cpu : setting, other] : [other];
  const choice = await window.showInformationMessage('Training needs PyTorch. Install it?', {
    modal: true,
    detail: `${size} It is installed into the server's environment, ${environment}. Completion does not need it.`,
  }, ...choices);
  if (choice === setting) void commands.executeCommand('workbench.action.openSettings', 'tinycopilot.torchIndex');
  if (!choice || choice === setting) return undefined;
  return choice === cpu ? ['--index-url', torchIndex] : [];
}

/** Makes the environment, or brings what is in it up to date. What was begun and cannot be finished is deleted. */
async function make(
  python: string, environment: string, packages: string[], log: LogOutputChannel, progress: Report, token: CancellationToken,
): Promise<boolean> {
  const isNew = !await isWhole(environment);
  try {
    if (isNew) {
      rmSync(environment, { recursive: true, force: true });
      progress.report({ message: 'creating the environment' });
      await run(python, ['-I', '-m', 'venv', environment], log, token);
    }
    const own = programIn(environment, 'python');
    if (!own) throw new Error(`${environment} has no Python.`);
    await pip(own, packages, log, progress, token);
    if (!programIn(environment)) throw new Error('the installed package has no program tinycopilot-server.');
    progress.report({ message: 'compiling for this machine' });
    // Without it, the first start compiles.
    await run(own, ['-I', '-m', 'tinycopilot', 'compile'], log, token).catch(error => log.warn(`install: ${error.message}`));
    log.info(`installed into ${environment}`);
    return true;
  } catch (error) {
    if (isNew) rmSync(environment, { recursive: true, force: true });
    if (token.isCancellationRequested) return false;
    throw error;
  }
}

/** Installs or upgrades packages with the pip of that Python. */
async function pip(python: string, packages: string[], log: LogOutputChannel, progress: Report, token: CancellationToken): Promise<void> {
  const options = ['--upgrade', '--no-input', '--disable-pip-version-check', '--progress-bar', 'off'];
  await run(python, ['-I', '-m', 'pip', 'install', ...options, ...packages], log, token, line => {
    if (/^ *(Collecting|Downloading|Installing) /.test(line)) progress.report({ message: line.trim().slice(0, 80) });
  });
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
      reject(new Error(`${why.replace(/^error: */i, '').slice(0, 300) || `${program} exited with code ${code}`}`));
    });
    if (token.isCancellationRequested) child.kill();
  });
}
