// Install the server and PyTorch into the extension's own environment, if the user agrees.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { dirname, isAbsolute, join } from 'node:path';
import { createInterface } from 'node:readline';
import { type CancellationToken, commands, type LogOutputChannel, type Progress, ProgressLocation, window, workspace } from 'vscode';
import { locate, programIn, runs } from './command';
import { locked } from './lock';

const NEEDED = [3, 11] as const;
/** Must match the extra `train` in pyproject.toml. */
const TORCH = 'torch>=2.9';
/** On Windows, the installer from python.org puts only the launcher, `py`, on the PATH by default. */
const PYTHONS = ['python3', 'python', ...(process.platform === 'win32' ? ['py'] : [])];
/** How many of the last output lines are searched for an error. */
const LAST_LINES = 50;

/** Sources and destination of the installation. */
export interface Places {
  /** The environment to create. */
  environment: string;
  /** The folder of the wheel that the extension may include. */
  wheels: string;
  /** The `installFrom` setting: URL of a package index, or a folder. */
  installFrom: string;
  /** The `torchIndex` setting: URL of an index with CPU builds of PyTorch; empty: none. */
  torchIndex: string;
}

/** Installs the server into a separate environment, if the user agrees; returns whether it is installed. */
export function install(places: Places, log: LogOutputChannel): Promise<boolean> {
  return reportingErrors('The server was not installed', log, async () => {
    const python = await findPython(log);
    const source = sourceOf(places);
    if (!await agree(places, source.words)) return false;
    return withProgress('Installing tinycopilot', places, (progress, token) => make(python, places.environment, source.pip, log, progress, token));
  });
}

/** Installs PyTorch into that environment, if the user agrees; returns whether it is installed. */
export function installTorch(places: Places, log: LogOutputChannel): Promise<boolean> {
  return reportingErrors('PyTorch was not installed', log, async () => {
    const python = programIn(places.environment, 'python');
    if (!python) throw new Error(`${places.environment} has no Python.`);
    const options = await agreeToTorch(places);
    if (!options) return false;
    return withProgress('Installing PyTorch', places, (progress, token) => pip(python, [...options, TORCH], log, progress, token));
  });
}

/** Runs `work` if the workspace is trusted; shows an error if it fails. */
async function reportingErrors(failure: string, log: LogOutputChannel, work: () => Promise<boolean>): Promise<boolean> {
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

/** Shows progress with a cancel button; returns whether it was not used. Only one window at a time changes the environment. */
async function withProgress(
  title: string, { environment }: Places, work: (progress: Report, token: CancellationToken) => Promise<void>,
): Promise<boolean> {
  return window.withProgress({ location: ProgressLocation.Notification, title, cancellable: true }, async (progress, token) => {
    mkdirSync(dirname(environment), { recursive: true });
    try {
      await locked(`${environment}.lock`, () => work(progress, token));
      return true;
    } catch (error) {
      if (token.isCancellationRequested) return false;
      throw error;
    }
  });
}

/** The first suitable Python. Throws with the problem of each candidate. */
async function findPython(log: LogOutputChannel): Promise<string> {
  const problems: string[] = [];
  for (const name of PYTHONS) {
    const python = locate(name);
    const problem = python ? await problemOf(python) : 'is not on the PATH';
    log.info(`install: ${python ?? name} ${problem || 'is suitable'}`);
    if (python && !problem) return python;
    problems.push(`${name} ${problem}`);
  }
  throw new Error(`Python ${NEEDED.join('.')} or later is needed, but ${problems.join(', and ')}.`);
}

/** Why an interpreter is unsuitable, as a predicate ("does not run"); empty if it is suitable. */
function problemOf(python: string): Promise<string> {
  const ask = 'import sys; print("%d.%d" % sys.version_info[:2]); import ensurepip, venv';
  return new Promise(resolve => execFile(python, ['-I', '-c', ask], { timeout: 10_000 }, (error, said) => {
    const [major = 0, minor = 0] = said.trim().split('.').map(Number);
    if (!major) return resolve('does not run');
    if (major < NEEDED[0] || (major === NEEDED[0] && minor < NEEDED[1])) return resolve(`is Python ${said.trim()}`);
    resolve(error ? 'has no module venv or ensurepip (on Debian and Ubuntu, install python3-venv)' : '');
  }));
}

/** Arguments for pip, and a description of the source. Throws if the setting is neither a URL nor a folder. */
export function sourceOf({ wheels, installFrom }: Places): { pip: string[]; words: string } {
  const wheel = wheelIn(wheels);
  if (wheel) return { pip: [wheel], words: 'The package is included in this extension; its dependencies come from PyPI' };
  // Never by name from a default index: the owner of that name there could run code on the user's machine.
  if (!installFrom) throw new Error('this extension does not include the Python package; set tinycopilot.installFrom to a package index or a folder with the wheel, or tinycopilot.serverCommand to an installed server.');
  if (/^https?:\/\//.test(installFrom)) return { pip: ['--index-url', installFrom, 'tinycopilot'], words: `The package comes from ${installFrom}` };
  if (!isAbsolute(installFrom)) throw new Error(`the tinycopilot.installFrom setting must be a URL or an absolute path, not "${installFrom}".`);
  const here = wheelIn(installFrom);
  if (!here) throw new Error(`the folder ${installFrom} (tinycopilot.installFrom setting) contains no tinycopilot wheel.`);
  return { pip: [here], words: `The package comes from ${installFrom}; its dependencies come from PyPI` };
}

/** The tinycopilot wheel in a folder, the last by name. */
function wheelIn(folder: string): string | undefined {
  try {
    const wheel = readdirSync(folder).filter(name => /^tinycopilot-.*\.whl$/.test(name)).sort().at(-1);
    return wheel && join(folder, wheel);
  } catch {
    return undefined;
  }
}

/** Asks before downloading the server. */
async function agree({ environment }: Places, words: string): Promise<boolean> {
  const choice = await window.showInformationMessage('Install the tinycopilot server?', {
    modal: true,
    detail: `Download: about 81 MB; 345 MB on disk. ${words}. It is installed into a separate environment, ${environment}; `
      + 'nothing else on this machine changes. Training also needs PyTorch, which is offered when you train.',
  }, 'Install');
  return choice === 'Install';
}

/** Asks before downloading PyTorch. Returns options for pip; undefined if the user declines. */
async function agreeToTorch({ environment, torchIndex }: Places): Promise<string[] | undefined> {
  const cpu = 'Install CPU build';
  const setting = 'Open the setting';
  const isLinux = process.platform === 'linux';
  const other = isLinux ? 'Install CUDA build' : 'Install';
  const small = torchIndex ? `about 200 MB, from ${torchIndex}` : 'about 200 MB; first set tinycopilot.torchIndex to its package index';
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

/** Creates or updates the environment. A new environment is deleted if the installation fails. */
async function make(
  python: string, environment: string, packages: string[], log: LogOutputChannel, progress: Report, token: CancellationToken,
): Promise<void> {
  const isNew = !await isUsable(environment);
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
    // If this fails, the server compiles when it is first started.
    await run(own, ['-I', '-m', 'tinycopilot', 'compile'], log, token).catch(error => log.warn(`install: ${error.message}`));
    log.info(`installed into ${environment}`);
  } catch (error) {
    if (isNew) rmSync(environment, { recursive: true, force: true });
    throw error;
  }
}

/** Installs or upgrades packages with this Python's pip. */
async function pip(python: string, packages: string[], log: LogOutputChannel, progress: Report, token: CancellationToken): Promise<void> {
  const options = ['--upgrade', '--no-input', '--disable-pip-version-check', '--progress-bar', 'off'];
  await run(python, ['-I', '-m', 'pip', 'install', ...options, ...packages], log, token, line => {
    if (/^ *(Collecting|Downloading|Installing) /.test(line)) progress.report({ message: line.trim().slice(0, 80) });
  });
}

/** Whether the environment is usable: its Python or pip may have been removed. */
async function isUsable(environment: string): Promise<boolean> {
  const python = programIn(environment) && programIn(environment, 'python');
  return python !== undefined && runs(python, '-I', '-m', 'pip', '--version');
}

/** Runs a program, and logs its output. Throws its last error, in one line. */
function run(
  program: string, args: string[], log: LogOutputChannel, token: CancellationToken, onLine: (line: string) => void = () => undefined,
): Promise<void> {
  log.info(`install: ${program} ${args.join(' ')}`);
  const proxy = workspace.getConfiguration('http').get<string>('proxy');
  const env = { ...proxy && { HTTP_PROXY: proxy, HTTPS_PROXY: proxy }, ...process.env };  // not an argument, which would be logged
  return new Promise((resolve, reject) => {
    const child: ChildProcess = spawn(program, args, { cwd: dirname(program), env, stdio: ['ignore', 'pipe', 'pipe'] });
    const stopping = token.onCancellationRequested(() => child.kill());
    const last: string[] = [];
    for (const stream of [child.stdout, child.stderr]) {
      if (stream) createInterface({ input: stream }).on('line', line => {
        log.info(line);
        onLine(line);
        last.push(line);
        if (last.length > LAST_LINES) last.shift();
      });
    }
    child.on('error', error => { stopping.dispose(); reject(error); });
    child.on('close', code => {
      stopping.dispose();
      if (code === 0) return resolve();
      const why = last.filter(line => /error/i.test(line)).at(-1) ?? last.at(-1) ?? '';
      const isOffline = /No matching distribution/.test(why) && last.some(line => line.includes('connection broken'));
      if (isOffline) return reject(new Error('pip could not connect to the package index. Check the network, and the http.proxy setting if you need a proxy.'));
      reject(new Error(`${why.replace(/^error: */i, '').slice(0, 300) || `${program} exited with code ${code}`}`));
    });
    if (token.isCancellationRequested) child.kill();
  });
}
