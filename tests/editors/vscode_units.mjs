// Unit tests of the extension, with a small fake of VS Code's API: finding the server, arguments for pip, pauses. Run by
// `npm test` in editors/vscode.
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, beforeEach, mock, test } from 'node:test';
import { loadSources } from './vscode_fake.mjs';

const scratch = mkdtempSync(join(tmpdir(), 'units-'));
after(() => rmSync(scratch, { recursive: true }));

const vscode = globalThis.vscode = { workspace: {}, extensions: {}, window: {} };
const [{ findServer }, { sourceOf }, { locked }, { Pause }] = await loadSources(scratch, 'command', 'install', 'lock', 'pause');

const log = { info() {} };
const own = join(scratch, 'own');
let workspaceFolder, onPath;

/** Writes a program that does nothing, and returns its path. */
function writeProgram(...path) {
  const file = join(...path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, '#!/bin/sh\n');
  chmodSync(file, 0o755);
  return file;
}

/** Fakes a Python extension in which this interpreter is selected. */
function selectInterpreter(python) {
  const environments = {
    getActiveEnvironmentPath: () => ({ path: python }),
    resolveEnvironment: async ({ path }) => ({ executable: { uri: { fsPath: path } } }),
  };
  vscode.extensions.getExtension = () => ({ activate: async () => ({ environments }) });
}

/** The saved state of a workspace, which the next window reads. */
function memento() {
  const values = new Map();
  return { get: key => values.get(key), update: async (key, value) => void values.set(key, value) };
}

beforeEach(() => {
  for (const name of ['own', 'path', 'workspace', 'python']) rmSync(join(scratch, name), { recursive: true, force: true });
  workspaceFolder = join(scratch, 'workspace');
  onPath = join(scratch, 'path');
  process.env.PATH = onPath;
  vscode.workspace.isTrusted = true;
  vscode.workspace.workspaceFolders = [{ uri: { scheme: 'file', fsPath: workspaceFolder } }];
  vscode.extensions.getExtension = () => undefined;
});

test('search order: the workspace, the Python extension, the PATH, the extension\'s environment', async () => {
  assert.match((await findServer([], own, log)).missing, /tinycopilot-server was not found/);
  const inOwn = writeProgram(own, 'bin/tinycopilot-server');
  assert.deepEqual(await findServer([], own, log), { command: inOwn, args: [] });
  const there = writeProgram(onPath, 'tinycopilot-server');
  assert.equal((await findServer([], own, log)).command, there);
  selectInterpreter(writeProgram(scratch, 'python/bin/python'));
  const beside = writeProgram(scratch, 'python/bin/tinycopilot-server');
  assert.equal((await findServer([], own, log)).command, beside);
  const venv = writeProgram(workspaceFolder, 'venv/bin/tinycopilot-server');
  assert.equal((await findServer([], own, log)).command, venv);
  const dotVenv = writeProgram(workspaceFolder, '.venv/bin/tinycopilot-server');
  assert.equal((await findServer([], own, log)).command, dotVenv);
});

test('the clone that the extension was built in has the server after `make demo`', async () => {
  globalThis.clone = join(scratch, 'clone');
  try {
    assert.ok((await findServer([], own, log)).missing);
    const there = writeProgram(globalThis.clone, '.venv/bin/tinycopilot-server');
    writeProgram(own, 'bin/tinycopilot-server');
    assert.deepEqual(await findServer([], own, log), { command: there, args: [] });
    vscode.workspace.isTrusted = false;
    assert.deepEqual(await findServer([], own, log), { command: there, args: [] });
    const link = join(scratch, 'link');
    symlinkSync(globalThis.clone, link);
    for (const fsPath of [scratch, globalThis.clone, link]) {
      vscode.workspace.workspaceFolders = [{ uri: { scheme: 'file', fsPath } }];
      assert.equal((await findServer([], join(scratch, 'none'), log)).command, undefined, fsPath);
    }
    const onThePath = writeProgram(onPath, 'tinycopilot-server');
    assert.equal((await findServer([], own, log)).command, onThePath);
  } finally {
    globalThis.clone = '';
  }
});

test('an interpreter with the package but without the program runs the module', async () => {
  const python = join(scratch, 'python/bin/python');
  mkdirSync(dirname(python), { recursive: true });
  writeFileSync(python, '#!/bin/sh\n[ "$1" = -P ] && [ "$2" = -c ]\n', { mode: 0o755 });
  selectInterpreter(python);
  assert.deepEqual(await findServer([], own, log), { command: python, args: ['-P', '-m', 'tinycopilot_server'] });
  writeFileSync(python, '#!/bin/sh\nexit 1\n');
  assert.ok('missing' in await findServer([], own, log));
});

test('on Windows, a script on the PATH is not a program, and Python may be its launcher', async () => {
  const { platform } = process, windows = join(scratch, 'windows');
  mkdirSync(windows);
  Object.defineProperty(process, 'platform', { value: 'win32' });
  try {
    const [{ locate }, { install }] = await loadSources(windows, 'command', 'install');
    writeProgram(onPath, 'python');
    assert.equal(locate('python'), undefined);
    const python = writeProgram(onPath, 'python.exe');
    assert.equal(locate('python'), python);
    assert.equal(locate('python.exe'), python);
    const said = [];
    vscode.window.showErrorMessage = async message => void said.push(message);
    await install({}, { info() {}, error() {} });
    assert.match(said[0], /python3 is not on the PATH, and python does not run, and py is not on the PATH/);
  } finally {
    Object.defineProperty(process, 'platform', { value: platform });
  }
});

test('a Python extension that fails or does not respond is skipped and logged', async () => {
  const never = new Promise(() => undefined);
  const fails = async () => { throw new Error('conda is broken'); };
  const environments = { getActiveEnvironmentPath: () => ({ path: 'x' }) };
  const command = writeProgram(onPath, 'tinycopilot-server');
  for (const [reason, activate] of [
    ['conda is broken', fails],
    ['conda is broken', async () => ({ environments: { ...environments, resolveEnvironment: fails } })],
    ['no response within 10 s', () => never],
    ['no response within 10 s', async () => ({ environments: { ...environments, resolveEnvironment: () => never } })],
  ]) {
    const logged = [];
    vscode.extensions.getExtension = () => ({ activate });
    mock.timers.enable({ apis: ['setTimeout'] });
    try {
      const finding = findServer([], own, { info: line => logged.push(line) });
      if (reason.startsWith('no response')) mock.timers.tick(10_000);
      assert.equal((await finding).command, command);
    } finally {
      mock.timers.reset();
    }
    assert.ok(logged.some(line => line.includes(`the Python extension, which failed: ${reason}`)), logged.join('\n'));
  }
});

test('without a document to complete, the Python extension is not activated', async () => {
  vscode.extensions.getExtension = () => ({ isActive: false, activate: () => assert.fail('it was activated') });
  assert.ok('missing' in await findServer([], own, log, false));
});

test('no program of an untrusted workspace or its Python environment is run', async () => {
  vscode.workspace.isTrusted = false;
  writeProgram(workspaceFolder, '.venv/bin/tinycopilot-server');
  selectInterpreter(writeProgram(workspaceFolder, '.venv/bin/python'));
  assert.match((await findServer([], own, log)).missing, /only if you trust the workspace/);
  const command = writeProgram(onPath, 'tinycopilot-server');
  assert.equal((await findServer([], own, log)).command, command);
});

test('the setting takes precedence, even if its program does not exist', async () => {
  writeProgram(onPath, 'tinycopilot-server');
  const named = writeProgram(scratch, 'path/another');
  assert.deepEqual(await findServer([named, '--x'], own, log), { command: named, args: ['--x'] });
  assert.match((await findServer(['nowhere'], own, log)).missing, /"nowhere" in the tinycopilot.serverCommand setting/);
});

test('relative folders on the PATH are ignored', async () => {
  const here = process.cwd();
  writeProgram(workspaceFolder, 'tinycopilot-server');
  process.chdir(workspaceFolder);
  process.env.PATH = ['.', ''].join(':');
  try {
    assert.ok('missing' in await findServer([], own, log));
    assert.ok('missing' in await findServer(['./tinycopilot-server'], own, log));
  } finally {
    process.chdir(here);
  }
});

test('pip installs the included wheel, else from the setting, and never by name alone', () => {
  const wheels = join(scratch, 'wheel');
  const elsewhere = join(scratch, 'elsewhere');
  const source = installFrom => sourceOf({ environment: own, wheels, installFrom }).pip;
  assert.throws(() => source(''), /does not include the Python package/);
  assert.deepEqual(source('https://example.org/simple'), ['--index-url', 'https://example.org/simple', 'tinycopilot']);
  assert.throws(() => source('relative'), /a URL or an absolute path, not "relative"/);
  assert.throws(() => source(elsewhere), /contains no tinycopilot wheel/);
  for (const name of ['other-2.whl', 'tinycopilot-1-py3-none-any.whl']) writeProgram(elsewhere, name);
  assert.deepEqual(source(elsewhere), [join(elsewhere, 'tinycopilot-1-py3-none-any.whl')]);
  const packed = writeProgram(wheels, 'tinycopilot-3-py3-none-any.whl');
  assert.deepEqual(source(elsewhere), [packed]);
});

test('a lock file that was not written, because the disk was full, is ignored', async () => {
  const file = join(scratch, 'lock');
  writeFileSync(file, '');
  assert.equal(await locked(file, async () => 'done'), 'done');
});

test('a pause of an hour ends by itself, and survives a server restart', async () => {
  mock.timers.enable({ apis: ['setTimeout', 'Date'] });
  try {
    const sent = [];
    const pause = new Pause(async command => void sent.push(command.replace('tinycopilot.', '')), memento());
    await pause.begin(60);
    await pause.onStatus({ state: 'off' });
    assert.equal(pause.until.getTime(), 60 * 60_000);
    await pause.onStatus({ state: 'loading' });
    await pause.onStatus({ state: 'ready' });
    assert.deepEqual(sent, ['pause', 'pause']);
    await pause.onStatus({ state: 'off' });
    mock.timers.tick(60 * 60_000 - 1);
    assert.equal(sent.length, 2);
    mock.timers.tick(1);
    assert.deepEqual(sent, ['pause', 'pause', 'resume']);
    assert.equal(pause.until, undefined);
  } finally {
    mock.timers.reset();
  }
});

test('a snooze extends a pause that ends by itself', async () => {
  mock.timers.enable({ apis: ['setTimeout', 'Date'] });
  try {
    const sent = [];
    const pause = new Pause(async command => void sent.push(command.replace('tinycopilot.', '')), memento());
    await pause.snooze(5);
    mock.timers.tick(60_000);
    await pause.snooze(5);
    assert.equal(pause.until.getTime(), 10 * 60_000);
    mock.timers.tick(9 * 60_000 - 1);
    assert.deepEqual(sent, ['pause', 'pause']);
    mock.timers.tick(1);
    assert.deepEqual(sent, ['pause', 'pause', 'resume']);
    await pause.snooze(5);
    assert.equal(pause.until.getTime(), 15 * 60_000);
    pause.dispose();
  } finally {
    mock.timers.reset();
  }
});

test('a snooze does not end an indefinite pause', async () => {
  const sent = [];
  const pause = new Pause(async command => void sent.push(command), memento());
  await pause.begin();
  await pause.snooze(5);
  assert.equal(pause.until, undefined);
  assert.deepEqual(sent, ['tinycopilot.pause']);
  pause.dispose();
});

test('a pause ends on time after the computer has slept', async () => {
  mock.timers.enable({ apis: ['setTimeout'] });
  const clock = mock.method(Date, 'now', () => 0);
  try {
    const sent = [];
    const pause = new Pause(async command => void sent.push(command.replace('tinycopilot.', '')), memento());
    await pause.begin(60);
    clock.mock.mockImplementation(() => 60 * 60_000);
    mock.timers.tick(30_000);
    assert.deepEqual(sent, ['pause', 'resume']);
  } finally {
    clock.mock.restore();
    mock.timers.reset();
  }
});

test('a pause survives a restart in which the model fails to load', async () => {
  const sent = [];
  const pause = new Pause(async command => void sent.push(command.replace('tinycopilot.', '')), memento());
  await pause.begin();
  for (const state of ['off', 'loading', 'error', 'ready']) await pause.onStatus({ state });
  assert.deepEqual(sent, ['pause', 'pause']);
});

test('a pause that was ended elsewhere is not restored', async () => {
  const sent = [];
  const pause = new Pause(async command => void sent.push(command), memento());
  await pause.begin(60);
  await pause.onStatus({ state: 'off' });
  await pause.onStatus({ state: 'ready' });
  await pause.onStatus({ state: 'loading' });
  await pause.onStatus({ state: 'ready' });
  assert.deepEqual(sent, ['tinycopilot.pause']);
  assert.equal(pause.until, undefined);
});

test('a pause survives a reload of the window, until it ends', async () => {
  mock.timers.enable({ apis: ['setTimeout', 'Date'] });
  try {
    const sent = [];
    const state = memento();
    const newWindow = () => new Pause(async command => void sent.push(command.replace('tinycopilot.', '')), state);
    const first = newWindow();
    await first.begin(60);
    first.dispose();
    const second = newWindow();
    await second.onStatus({ state: 'loading' });
    await second.onStatus({ state: 'ready' });
    assert.deepEqual(sent, ['pause', 'pause']);
    assert.equal(second.until.getTime(), 60 * 60_000);
    second.dispose();
    mock.timers.tick(60 * 60_000);
    const third = newWindow();
    await third.onStatus({ state: 'loading' });
    await third.onStatus({ state: 'ready' });
    assert.deepEqual(sent, ['pause', 'pause']);
  } finally {
    mock.timers.reset();
  }
});
