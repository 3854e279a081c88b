// Tests of the extension with a server that is missing, crashes, is slow, or is stopped while it starts: with the real
// client library and real processes, but a fake VS Code. Run by `npm test` in editors/vscode.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, afterEach, beforeEach, mock, test } from 'node:test';
import { loadSources, newEditor, waitFor } from './vscode_fake.mjs';

const scratch = mkdtempSync(join(tmpdir(), 'lifecycle-'));
after(() => rmSync(scratch, { recursive: true }));

let editor = newEditor();
const [extension] = await loadSources(scratch, 'extension');
const stub = join(import.meta.dirname, 'vscode_stub_server.mjs');
let folder, context;

/** Creates or deletes a file that controls the stub server. */
const setFlag = name => writeFileSync(join(folder, name), '');
const clearFlag = name => rmSync(join(folder, name));

/** The process ids of the running stub servers. */
function runningStubs() {
  try {
    return readdirSync(join(folder, 'running')).map(Number).filter(pid => {
      try {
        return process.kill(pid, 0);
      } catch {
        return false;
      }
    });
  } catch {
    return [];
  }
}

function startExtension(settings = { serverCommand: [process.execPath, stub, folder] }) {
  Object.assign(editor.settings, settings);
  extension.activate(context = editor.context(folder));
}

const restart = () => editor.commands['tinycopilot.restart']();
const isReady = () => editor.showsState('ready');
const buttons = part => editor.waitForMessage(part).then(message => message.buttons);

/** Writes an executable shell script. */
function writeScript(file, ...lines) {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, ['#!/bin/sh', 'PATH=/usr/bin:/bin', ...lines, ''].join('\n'), { mode: 0o755 });
  return file;
}

/** Puts a fake Python on the PATH: its venv and pip install the stub server. */
function installFakePython() {
  writeScript(join(folder, 'path', 'python3'),
    'case "$*" in',
    '  *"import sys"*) echo 3.12;;',
    '  *"-m venv "*) mkdir -p "$4/bin"; cp "$0" "$4/bin/python";;',
    `  *"pip install"*"torch>"*) if test -e '${folder}/offline'; then`,
    '    echo "WARNING: Retrying after connection broken by ProxyError" >&2; echo "ERROR: No matching distribution found for torch" >&2; exit 1',
    `    fi; touch '${folder}/torch';;`,
    `  *"pip install"*) printf '#!/bin/sh\\nexec %s %s %s' '${process.execPath}' '${stub}' '${folder}' > "\${0%/*}/tinycopilot-server"`,
    `    chmod +x "\${0%/*}/tinycopilot-server"; echo "$HTTPS_PROXY" > '${folder}/proxy';;`,
    'esac');
  mkdirSync(join(folder, 'wheel'));
  writeFileSync(join(folder, 'wheel', 'tinycopilot-1-py3-none-any.whl'), '');
}

const install = () => editor.commands['tinycopilot.install']();
const installQuestions = () => editor.messages.filter(({ text }) => text.startsWith('Install the tinycopilot server?'));

const openFolder = () => editor.vscode.workspace.workspaceFolders.push({ uri: { scheme: 'file', fsPath: folder } });

/** Accepts the installation. */
async function acceptInstallation() {
  const { choose, buttons } = await editor.waitForMessage('Install the tinycopilot server?');
  choose(buttons.at(-1));
}

beforeEach(() => {
  folder = mkdtempSync(join(scratch, 'test-'));
  editor = newEditor();
  process.env.PATH = join(folder, 'path');
});

afterEach(async () => {
  mock.timers.reset();
  await extension.deactivate();
  for (const subscription of context.subscriptions) subscription.dispose?.();
  for (const pid of runningStubs()) process.kill(pid, 'SIGKILL');
});

test('a killed server is restarted', async () => {
  editor.open('python');
  startExtension();
  await waitFor('ready', isReady);
  const [first] = runningStubs();
  process.kill(first, 'SIGKILL');
  await waitFor('another server', () => runningStubs().length === 1 && runningStubs()[0] !== first && isReady());
  assert.deepEqual(editor.messages, []);
});

test('documents that are opened together, and repeated restarts, start the server once', async () => {
  startExtension();
  await waitFor('the wait for a document', () => editor.contexts['tinycopilot.canInstall'] === false);
  const starts = () => editor.logged.filter(line => line.startsWith('starting ')).length;
  for (let cell = 0; cell < 5; cell++) editor.open('python');
  await waitFor('ready', isReady);
  await new Promise(resolve => setTimeout(resolve, 300));
  assert.equal(starts(), 1);
  for (let i = 0; i < 5; i++) restart();
  await waitFor('another server', () => starts() > 1 && isReady());
  await new Promise(resolve => setTimeout(resolve, 300));
  assert.equal(starts(), 2);
});

test('a server that is stopped while it starts exits, and is not restarted', async () => {
  editor.open('python');
  setFlag('waits');
  startExtension();
  const [first] = await waitFor('a starting server', () => runningStubs().length === 1 && runningStubs());
  restart();
  clearFlag('waits');  // let it respond before it is killed
  await waitFor('exit of the first server', () => !runningStubs().includes(first) && isReady());
  await new Promise(resolve => setTimeout(resolve, 300));
  assert.equal(runningStubs().length, 1);
  assert.deepEqual(editor.messages, []);
});

test('a server that keeps crashing is reported, with a button to restart it', async () => {
  editor.open('python');
  const server = writeScript(join(folder, 'server'), `exec '${process.execPath}' '${stub}' '${folder}'`);
  startExtension({ serverCommand: server });  // a string is the program
  await waitFor('ready', isReady);
  const text = readFileSync(server);
  rmSync(server);
  process.kill(runningStubs()[0], 'SIGKILL');
  assert.deepEqual(await buttons('The server did not start.'), ['Restart', 'Show the log']);
  assert.ok(editor.showsState('error'));
  writeFileSync(server, text, { mode: 0o755 });
  editor.messages[0].choose('Restart');
  await waitFor('ready', isReady);
});

test('a server that exits at startup is reported as not started', async () => {
  editor.open('python');
  startExtension();
  await waitFor('ready', isReady);
  setFlag('fails');
  process.kill(runningStubs()[0], 'SIGKILL');
  await editor.waitForMessage('The server did not start.');
  assert.equal(editor.messages.length, 1);
});

test('a server that never responds is reported, and can be restarted', async () => {
  editor.open('python');
  setFlag('waits');
  mock.timers.enable({ apis: ['setTimeout'] });
  startExtension();
  await waitFor('a starting server', () => runningStubs().length === 1 && editor.showsState('loading'));
  mock.timers.tick(60_000);
  assert.deepEqual(await buttons('The server does not respond.'), ['Restart', 'Show the log']);
  mock.timers.reset();
  clearFlag('waits');
  editor.messages[0].choose('Restart');
  await waitFor('ready', () => isReady() && runningStubs().length === 1);
});

test('a server that reports that it is compiling gets more time', async () => {
  editor.open('python');
  setFlag('compiles');
  mock.timers.enable({ apis: ['setTimeout'] });
  startExtension();
  await waitFor('a compiling server', () => /compiling/.test(editor.item.tooltip ?? ''));
  mock.timers.tick(600_000);
  assert.deepEqual(editor.messages, []);
  assert.ok(editor.showsState('loading'));
  clearFlag('compiles');
  await waitFor('ready', isReady);
});

test('an error before the server starts is reported, and the next start works', async () => {
  editor.open('python');
  const { textDocuments } = editor.vscode.workspace;
  editor.vscode.workspace.textDocuments = undefined;
  startExtension();
  await editor.waitForMessage('The server could not be started: TypeError');
  editor.vscode.workspace.textDocuments = textDocuments;
  restart();
  await waitFor('ready', isReady);
});

test('repeated install commands install the server once', async () => {
  editor.open('python');
  installFakePython();
  delete process.env.HTTPS_PROXY;
  startExtension({ proxy: 'http://localhost:3128' });
  assert.deepEqual(await buttons('tinycopilot-server was not found'), ['Install', 'Show the log', 'Open the setting']);
  editor.messages[0].choose('Install');
  await waitFor('the confirmation', () => installQuestions().length > 0);
  const other = install();
  await acceptInstallation();
  await other;
  await waitFor('ready', isReady);
  assert.equal(installQuestions().length, 1);
  assert.equal(readFileSync(join(folder, 'proxy'), 'utf8').trim(), 'http://localhost:3128');
  assert.ok(!existsSync(join(folder, 'server.lock')));
});

test('training offers to install PyTorch, with its size, and starts once it is installed', async () => {
  openFolder();
  editor.open('python');
  installFakePython();
  startExtension({});
  void install();
  await acceptInstallation();
  await waitFor('ready', isReady);
  editor.vscode.window.showQuickPick = async items => items[0];
  const train = () => editor.commands['tinycopilot.trainHere']();
  const offer = async () => (await editor.waitForMessage('Training needs PyTorch.'));
  const hasTrained = () => existsSync(join(folder, 'trained'));

  const refused = train();
  assert.match((await offer()).detail, /200 MB/);
  (await offer()).choose(undefined);
  await refused;
  assert.ok(!hasTrained());

  editor.messages.length = 0;
  setFlag('offline');
  const failed = train();
  (await offer()).choose((await offer()).buttons.at(-1));
  (await editor.waitForMessage('PyTorch was not installed: pip could not connect to the package index.')).choose(undefined);
  await failed;
  assert.ok(!hasTrained());

  editor.messages.length = 0;
  clearFlag('offline');
  const trained = train();
  await offer();
  const repeated = train();  // waits for the first
  (await offer()).choose((await offer()).buttons.at(-1));
  await Promise.all([trained, repeated]);
  assert.equal(editor.messages.length, 1);
  assert.ok(existsSync(join(folder, 'torch')) && hasTrained());

  editor.messages.length = 0;
  await train();
  assert.deepEqual(editor.messages, []);
});

test('PyTorch is not installed into the user\'s own environment: the server reports what is missing', async () => {
  openFolder();
  editor.open('python');
  startExtension();
  await waitFor('ready', isReady);
  editor.vscode.window.showQuickPick = () => assert.fail('the training time was requested, although training is not possible');
  await editor.commands['tinycopilot.trainHere']();
  assert.deepEqual(editor.messages, []);
  assert.ok(existsSync(join(folder, 'trained')));
});

test('training that ends with the server is reported', async () => {
  openFolder();
  editor.open('python');
  setFlag('torch');
  startExtension();
  await waitFor('ready', isReady);
  editor.vscode.window.showQuickPick = async items => items[0];
  await editor.commands['tinycopilot.trainHere']();
  await waitFor('training', () => editor.contexts['tinycopilot.trains']);
  assert.deepEqual(editor.messages, []);
  restart();
  await editor.waitForMessage('training ended early');
  assert.ok(!editor.contexts['tinycopilot.trains']);
  await waitFor('ready', isReady);
});

test('commands that the walkthrough runs although they are not offered say what is missing', async () => {
  startExtension({ serverCommand: [process.execPath, stub, folder] });
  await waitFor('the wait for a document', () => editor.contexts['tinycopilot.canInstall'] === false);
  const errorOf = async name => {
    await editor.commands[`tinycopilot.${name}`]();
    return editor.messages.pop().text;
  };
  for (const name of ['evaluate', 'trainHere']) assert.equal(await errorOf(name), 'tinycopilot: open a folder first');
  openFolder();
  for (const name of ['evaluate', 'trainHere']) assert.match(await errorOf(name), /not running: open a file in an enabled language/);
  assert.equal(await errorOf('install'), `tinycopilot: nothing to install: ${process.execPath} is used`);
  editor.set('enabled', false);
  await waitFor('off', () => editor.showsState('off'));
  assert.match(await errorOf('evaluate'), /not running: disabled in the settings/);
});

test('only one window installs at a time; a stale lock is ignored', async () => {
  installFakePython();
  startExtension({});
  mkdirSync(join(folder, 'server'));
  writeFileSync(join(folder, 'server.lock'), String(process.ppid));
  const installing = install();
  await acceptInstallation();
  (await editor.waitForMessage('another window is already installing')).choose(undefined);
  await installing;
  assert.ok(existsSync(join(folder, 'server')));
  const { pid } = spawnSync('/bin/true');
  writeFileSync(join(folder, 'server.lock'), String(pid));
  editor.messages.length = 0;
  void install();
  await acceptInstallation();
  await editor.waitForMessage('the server is installed. It starts when you open a file in an enabled language.');
  editor.open('python');
  await waitFor('ready', isReady);
});

test('an environment without Python is created again', async () => {
  editor.open('python');
  installFakePython();
  const bin = join(folder, 'server', 'bin');
  mkdirSync(bin, { recursive: true });
  symlinkSync('/nowhere/python3', join(bin, 'python'));
  writeFileSync(join(bin, 'tinycopilot-server'), '#!/nowhere/python3\n', { mode: 0o755 });
  startExtension({});
  assert.deepEqual(await buttons('The server did not start.'), ['Install', 'Restart', 'Show the log']);
  void install();
  await acceptInstallation();
  await waitFor('ready', isReady);
});

test('nothing is installed if the setting names a server', async () => {
  editor.open('python');
  startExtension({ serverCommand: ['~/nowhere/tinycopilot-server'] });
  assert.deepEqual(await buttons('The program "'), ['Show the log', 'Open the setting']);
  assert.equal(editor.contexts['tinycopilot.canInstall'], false);
});

test('without a document the status is hidden, and the server can be installed', async () => {
  startExtension({});
  await waitFor('the option to install', () => editor.contexts['tinycopilot.canInstall']);
  assert.ok(!editor.item.isShown);
  assert.deepEqual(editor.messages, []);
});

test('the status bar shows that a language is off, and the menu turns it on', async () => {
  editor.open('json');
  startExtension();
  await waitFor('off', () => editor.showsState('off'));
  assert.equal(editor.item.text, 'tinycopilot: off in json');
  editor.open('rust');
  await waitFor('ready', isReady);
  assert.equal(editor.item.text, 'tinycopilot: ready');
  editor.open('json');
  assert.equal(editor.item.text, 'tinycopilot: off in json');
  assert.equal(editor.item.accessibilityInformation.label, 'tinycopilot: off in json');
  const { uri } = editor.vscode.window.activeTextEditor.document;
  uri.scheme = 'vscode-notebook-cell';
  editor.events.active.fire();
  assert.equal(editor.item.text, 'tinycopilot: off in json');
  editor.vscode.window.activeTextEditor.document.languageId = 'rust';
  editor.events.document.fire(editor.vscode.window.activeTextEditor.document);  // as after "Change Language Mode"
  assert.equal(editor.item.text, 'tinycopilot: ready');
  editor.vscode.window.activeTextEditor.document.languageId = 'json';
  uri.scheme = 'file';
  const [first] = runningStubs();
  await editor.commands['tinycopilot.toggleLanguage']();
  assert.deepEqual(editor.settings.languages, ['default', 'json']);
  await waitFor('another server', () => runningStubs().length === 1 && runningStubs()[0] !== first && isReady());
  assert.equal(editor.item.text, 'tinycopilot: ready');
});

test('the output panel is not a file: its language cannot be turned on, and it cannot be forgotten', async () => {
  editor.open('python');
  startExtension();
  await waitFor('ready', isReady);
  editor.open('log');
  editor.vscode.window.activeTextEditor.document.uri.scheme = 'output';
  for (const command of ['toggleLanguage', 'forgetThisFile']) {
    await editor.commands[`tinycopilot.${command}`]();
    await editor.waitForMessage('go to a file first');
    assert.equal(editor.messages.length, 1);
    editor.messages.length = 0;
  }
  assert.equal(editor.settings.languages, undefined);
});

test('the status bar shows why a file gets no suggestions', async () => {
  editor.open('python');
  startExtension();
  await waitFor('ready', isReady);
  setFlag('secret');
  editor.open('python');
  await waitFor('off', () => editor.item.text === 'tinycopilot: off in this file');
  assert.match(editor.item.tooltip, /off in this file: this file may contain secrets/);
  clearFlag('secret');
  await editor.commands['tinycopilot.resumeSuggestions'](); // the server reports "ready", as after a change of `exclude`
  await waitFor('on', () => editor.item.text === 'tinycopilot: ready');
});

test('the status bar shows that VS Code\'s own setting hides suggestions', async () => {
  editor.open('python');
  startExtension();
  await waitFor('ready', isReady);
  editor.set('inlineSuggest.enabled', false);
  assert.equal(editor.item.text, 'tinycopilot: off in this file');
  assert.match(editor.item.tooltip, /the editor.inlineSuggest.enabled setting is off/);
  editor.set('popup', true);
  assert.equal(editor.item.text, 'tinycopilot: ready');
});

test('an untrusted workspace offers to manage trust', async () => {
  editor.open('python');
  editor.vscode.workspace.isTrusted = false;
  startExtension({});
  assert.deepEqual(await buttons('only if you trust the workspace'), ['Manage trust', 'Show the log']);
  editor.messages[0].choose('Manage trust');
  await waitFor('the trust editor', () => editor.executed.includes('workbench.trust.manage'));
});

test('a language that was turned off is shown in the status bar, with an action to turn it on', async () => {
  editor.open('python');
  startExtension();
  await waitFor('ready', isReady);
  assert.deepEqual(editor.item.accessibilityInformation, { label: 'tinycopilot: ready', role: 'button' });
  const toggle = editor.commands['tinycopilot.toggleLanguage'];
  await toggle();
  await waitFor('off', () => editor.item.text === 'tinycopilot: off in python');
  assert.deepEqual(editor.settings.languages, ['default', '-python']);
  assert.match(editor.item.tooltip, /off in python/);
  await toggle();
  assert.deepEqual(editor.settings.languages, ['default']);
  await waitFor('ready', isReady);
});

test('the welcome message is shown once per machine', async () => {
  editor.isNew = true;
  editor.open('python');
  startExtension();
  const { text, choose } = await editor.waitForMessage('completes code as you type');
  for (const key of ['Tab', 'Ctrl+Right', 'Esc', 'status bar', 'nothing leaves this machine']) assert.ok(text.includes(key), key);
  choose('Only when I ask');
  await waitFor('on demand', () => editor.settings.inline === 'onDemand');
  editor.messages.length = 0;
  const [first] = runningStubs();
  restart();
  await waitFor('another server', () => runningStubs().length === 1 && runningStubs()[0] !== first && isReady());
  assert.deepEqual(editor.messages, []);
});

test('the menu toggles on-demand suggestions, and the status bar shows the key', async () => {
  editor.open('python');
  startExtension();
  await waitFor('ready', isReady);
  assert.match(editor.item.text, /ready/);
  const toggle = editor.commands['tinycopilot.toggleOnDemand'];
  await toggle();
  assert.equal(editor.settings.inline, 'onDemand');
  assert.match(editor.item.text, /on demand/);
  assert.match(editor.item.tooltip, /Alt\+\\/);
  await toggle();
  assert.equal(editor.settings.inline, 'automatic');
  assert.match(editor.item.text, /ready/);
});

test('the page that explains a suggestion is shown beside the editor, in one panel, if there is one', async () => {
  editor.open('python');
  startExtension();
  await waitFor('ready', isReady);
  await editor.commands['tinycopilot.why']();
  assert.deepEqual(editor.panels, []);
  writeFileSync(join(folder, 'page.html'), '<!DOCTYPE html><title>why</title>');
  await editor.commands['tinycopilot.why']();
  const [{ title, options, webview, close }] = editor.panels;
  assert.equal(title, 'Last suggestion');
  assert.equal(webview.html, '<!DOCTYPE html><title>why</title>');
  assert.deepEqual(options, { enableScripts: true, localResourceRoots: [] });
  writeFileSync(join(folder, 'page.html'), '<!DOCTYPE html><title>another</title>');
  await editor.commands['tinycopilot.why']();
  assert.equal(editor.panels.length, 1);  // the same panel shows the new page
  assert.equal(webview.html, '<!DOCTYPE html><title>another</title>');
  close();
  await editor.commands['tinycopilot.why']();
  assert.equal(editor.panels.length, 2);
  editor.panels[1].close();
});

test('eval takes the folder and the extension of the active file', async () => {
  const [first, second] = ['/w/first', '/w/second'].map(fsPath => ({ uri: { scheme: 'file', fsPath } }));
  const runs = [];
  Object.assign(editor.vscode, {
    Task: class { constructor(_type, _scope, _name, _source, { words }) { this.words = words; } },
    ProcessExecution: class { constructor(_program, words) { this.words = words; } },
    Uri: { file: fsPath => ({ fsPath }) },
    tasks: { executeTask: async ({ words }) => runs.push(words) },
  });
  editor.vscode.workspace.workspaceFolders = [first, second];
  editor.vscode.workspace.getWorkspaceFolder = ({ fsPath }) => [first, second].find(({ uri }) => fsPath.startsWith(`${uri.fsPath}/`));
  writeScript(join(folder, 'bin', 'tinycopilot'));
  const server = writeScript(join(folder, 'bin', 'tinycopilot-server'), `exec '${process.execPath}' '${stub}' '${folder}'`);
  editor.open('python');
  startExtension({ serverCommand: [server] });
  await waitFor('ready', isReady);
  const evaluate = async document => {
    editor.vscode.window.activeTextEditor = document && { document };
    await editor.commands['tinycopilot.evaluate']();
  };

  await evaluate({ uri: { scheme: 'file' }, fileName: '/w/second/a.ts', languageId: 'typescript' });
  await evaluate({ uri: { scheme: 'vscode-notebook-cell' }, fileName: '/w/second/a.ipynb', languageId: 'python' });
  await evaluate({ uri: { scheme: 'output' }, fileName: 'extension-output-x.y-#1-log', languageId: 'Log' });
  await evaluate(undefined);
  const whole = ['eval', '/w/first'];
  assert.deepEqual(runs, [['eval', '/w/second', '--ext', 'ts'], ['eval', '/w/second', '--ext', 'ipynb'], whole, whole]);
});

test('a pause survives a reload of the window', async () => {
  editor.open('python');
  startExtension();
  await waitFor('ready', isReady);
  await editor.commands['tinycopilot.pauseForAnHour']();
  await waitFor('off', () => editor.showsState('off'));
  assert.match(editor.item.tooltip, /paused until/);
  assert.match(editor.item.text, /^tinycopilot: off until \d/);
  editor.set('enabled', false);
  await waitFor('exit of the server', () => /disabled/.test(editor.item.tooltip));
  await extension.deactivate();
  for (const subscription of context.subscriptions) subscription.dispose?.();
  startExtension({ enabled: true });
  await waitFor('the restored pause', () => editor.showsState('off') && /paused until/.test(editor.item.tooltip));
  await editor.commands['tinycopilot.resumeSuggestions']();
  await waitFor('ready', isReady);
});
