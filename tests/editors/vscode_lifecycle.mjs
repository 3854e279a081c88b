// The extension with a server that is missing, crashes, is slow, or is ended while it starts: with its library and
// real processes, without an editor. Run by `npm test` in editors/vscode.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, afterEach, beforeEach, mock, test } from 'node:test';
import { loadSources, newEditor, until } from './vscode_fake.mjs';

const room = mkdtempSync(join(tmpdir(), 'lifecycle-'));
after(() => rmSync(room, { recursive: true }));

let editor = newEditor();
const [extension] = await loadSources(room, 'extension');
const stub = join(import.meta.dirname, 'vscode_stub_server.mjs');
let folder, context;

/** Controls the stub by files. */
const tell = word => writeFileSync(join(folder, word), '');
const untell = word => rmSync(join(folder, word));

/** The processes of running stubs. */
function running() {
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

function begin(settings = { serverCommand: [process.execPath, stub, folder] }) {
  Object.assign(editor.settings, settings);
  extension.activate(context = editor.context(folder));
}

const restart = () => editor.commands['tinycopilot.restart']();
const isReady = () => editor.says('ready');
const buttons = part => editor.message(part).then(message => message.buttons);

/** A shell script. */
function program(file, ...lines) {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, ['#!/bin/sh', 'PATH=/usr/bin:/bin', ...lines, ''].join('\n'), { mode: 0o755 });
  return file;
}

/** Puts a Python on the PATH that creates environments in which pip installs the stub. */
function python() {
  program(join(folder, 'path', 'python3'),
    'case "$*" in',
    '  *"import sys"*) echo 3.12;;',
    '  *"-m venv "*) mkdir -p "$4/bin"; cp "$0" "$4/bin/python";;',
    `  *"pip install"*"torch>"*) test ! -e '${folder}/offline' && touch '${folder}/torch';;`,
    `  *"pip install"*) printf '#!/bin/sh\\nexec %s %s %s' '${process.execPath}' '${stub}' '${folder}' > "\${0%/*}/tinycopilot-server"`,
    '    chmod +x "${0%/*}/tinycopilot-server";;',
    'esac');
  mkdirSync(join(folder, 'wheel'));
  writeFileSync(join(folder, 'wheel', 'tinycopilot-1-py3-none-any.whl'), '');
}

const install = () => editor.commands['tinycopilot.install']();
const asks = () => editor.messages.filter(({ text }) => text.startsWith('Install the tinycopilot server?'));

/** Accepts the installation's questions. */
async function agree() {
  const { choose, buttons } = await editor.message('Install the tinycopilot server?');
  choose(buttons.at(-1));
}

beforeEach(() => {
  folder = mkdtempSync(join(room, 'test-'));
  editor = newEditor();
  process.env.PATH = join(folder, 'path');
});

afterEach(async () => {
  mock.timers.reset();
  await extension.deactivate();
  for (const one of context.subscriptions) one.dispose?.();
  for (const pid of running()) process.kill(pid, 'SIGKILL');
});

test('a killed server is restarted', async () => {
  editor.open('python');
  begin();
  await until('ready', isReady);
  const [first] = running();
  process.kill(first, 'SIGKILL');
  await until('another', () => running().length === 1 && running()[0] !== first && isReady());
  assert.deepEqual(editor.messages, []);
});

test('a server that is ended while it starts exits, and is not restarted', async () => {
  editor.open('python');
  tell('waits');
  begin();
  const [first] = await until('one that starts', () => running().length === 1 && running());
  restart();
  untell('waits');  // it responds before it is killed
  await until('the end of the first', () => !running().includes(first) && isReady());
  await new Promise(resolve => setTimeout(resolve, 300));
  assert.equal(running().length, 1);
  assert.deepEqual(editor.messages, []);
});

test('a server that keeps crashing is reported, with a button to restart it', async () => {
  editor.open('python');
  const server = program(join(folder, 'server'), `exec '${process.execPath}' '${stub}' '${folder}'`);
  begin({ serverCommand: server });  // a string is a program
  await until('ready', isReady);
  const text = readFileSync(server);
  rmSync(server);
  process.kill(running()[0], 'SIGKILL');
  assert.deepEqual(await buttons('The server did not start.'), ['Restart', 'Show the log']);
  assert.ok(editor.says('error'));
  writeFileSync(server, text, { mode: 0o755 });
  editor.messages[0].choose('Restart');
  await until('ready', isReady);
});

test('a server that exits at startup is reported as not started', async () => {
  editor.open('python');
  begin();
  await until('ready', isReady);
  tell('fails');
  process.kill(running()[0], 'SIGKILL');
  await editor.message('The server did not start.');
  assert.equal(editor.messages.length, 1);
});

test('a server that never responds is reported, and can be restarted', async () => {
  editor.open('python');
  tell('waits');
  mock.timers.enable({ apis: ['setTimeout'] });
  begin();
  await until('one that starts', () => running().length === 1 && editor.says('loading'));
  mock.timers.tick(60_000);
  assert.deepEqual(await buttons('The server does not respond.'), ['Restart', 'Show the log']);
  mock.timers.reset();
  untell('waits');
  editor.messages[0].choose('Restart');
  await until('ready', () => isReady() && running().length === 1);
});

test('a server that says that it is compiling is given time', async () => {
  editor.open('python');
  tell('compiles');
  mock.timers.enable({ apis: ['setTimeout'] });
  begin();
  await until('one that compiles', () => /compiling/.test(editor.item.tooltip ?? ''));
  mock.timers.tick(600_000);
  assert.deepEqual(editor.messages, []);
  assert.ok(editor.says('loading'));
  untell('compiles');
  await until('ready', isReady);
});

test('an error before the server starts is reported, and the next start works', async () => {
  editor.open('python');
  const { textDocuments } = editor.vscode.workspace;
  editor.vscode.workspace.textDocuments = undefined;
  begin();
  await editor.message('The server could not be started: TypeError');
  editor.vscode.workspace.textDocuments = textDocuments;
  restart();
  await until('ready', isReady);
});

test('repeated install commands install the server once', async () => {
  editor.open('python');
  python();
  begin({});
  assert.deepEqual(await buttons('tinycopilot-server was not found'), ['Install', 'Show the log', 'Open the setting']);
  editor.messages[0].choose('Install');
  await until('the question', () => asks().length > 0);
  const other = install();
  await agree();
  await other;
  await until('ready', isReady);
  assert.equal(asks().length, 1);
  assert.ok(!existsSync(join(folder, 'server.lock')));
});

test('training offers to install PyTorch, with its size, and starts once it is installed', async () => {
  editor.open('python');
  python();
  begin({});
  void install();
  await agree();
  await until('ready', isReady);
  editor.vscode.window.showQuickPick = async items => items[0];
  const train = () => editor.commands['tinycopilot.trainHere']();
  const offer = async () => (await editor.message('Training needs PyTorch.'));
  const hasTrained = () => existsSync(join(folder, 'trained'));

  const refused = train();
  assert.match((await offer()).detail, /200 MB/);
  (await offer()).choose(undefined);
  await refused;
  assert.ok(!hasTrained());

  editor.messages.length = 0;
  tell('offline');
  const failed = train();
  (await offer()).choose((await offer()).buttons.at(-1));
  (await editor.message('PyTorch was not installed')).choose(undefined);
  await failed;
  assert.ok(!hasTrained());

  editor.messages.length = 0;
  untell('offline');
  const trained = train();
  (await offer()).choose((await offer()).buttons.at(-1));
  await trained;
  assert.ok(existsSync(join(folder, 'torch')) && hasTrained());

  editor.messages.length = 0;
  await train();
  assert.deepEqual(editor.messages, []);
});

test('PyTorch is not installed into the user\'s own environment: the server reports what is missing', async () => {
  editor.open('python');
  begin();
  await until('ready', isReady);
  editor.vscode.window.showQuickPick = () => assert.fail('asked for a time, although there is no training');
  await editor.commands['tinycopilot.trainHere']();
  assert.deepEqual(editor.messages, []);
  assert.ok(existsSync(join(folder, 'trained')));
});

test('only one window installs at a time; a stale lock is ignored', async () => {
  python();
  begin({});
  mkdirSync(join(folder, 'server'));
  writeFileSync(join(folder, 'server.lock'), String(process.ppid));
  const installing = install();
  await agree();
  (await editor.message('another window is already installing')).choose(undefined);
  await installing;
  assert.ok(existsSync(join(folder, 'server')));
  const { pid } = spawnSync('/bin/true');
  writeFileSync(join(folder, 'server.lock'), String(pid));
  editor.messages.length = 0;
  void install();
  await agree();
  await editor.message('the server is installed. It starts when you open a file in an enabled language.');
  editor.open('python');
  await until('ready', isReady);
});

test('an environment without Python is created again', async () => {
  editor.open('python');
  python();
  const bin = join(folder, 'server', 'bin');
  mkdirSync(bin, { recursive: true });
  symlinkSync('/nowhere/python3', join(bin, 'python'));
  writeFileSync(join(bin, 'tinycopilot-server'), '#!/nowhere/python3\n', { mode: 0o755 });
  begin({});
  assert.deepEqual(await buttons('The server did not start.'), ['Install', 'Restart', 'Show the log']);
  void install();
  await agree();
  await until('ready', isReady);
});

test('nothing is installed if the setting names a server', async () => {
  editor.open('python');
  begin({ serverCommand: ['~/nowhere/tinycopilot-server'] });
  assert.deepEqual(await buttons('The program "'), ['Show the log', 'Open the setting']);
  assert.equal(editor.contexts['tinycopilot.canInstall'], false);
});

test('without a document the status is hidden, and the server can be installed', async () => {
  begin({});
  await until('an offer', () => editor.contexts['tinycopilot.canInstall']);
  assert.ok(!editor.item.isShown);
  assert.deepEqual(editor.messages, []);
});

test('where a language is off the status bar says so, and the menu turns it on', async () => {
  editor.open('json');
  begin();
  await until('off', () => editor.says('off'));
  assert.equal(editor.item.text, 'tinycopilot: off in json');
  editor.open('rust');
  await until('ready', isReady);
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
  const [first] = running();
  await editor.commands['tinycopilot.toggleLanguage']();
  assert.deepEqual(editor.settings.languages, ['default', 'json']);
  await until('another', () => running().length === 1 && running()[0] !== first && isReady());
  assert.equal(editor.item.text, 'tinycopilot: ready');
});

test('where a file gets no suggestions the status bar says so, and why', async () => {
  editor.open('python');
  begin();
  await until('ready', isReady);
  tell('secret');
  editor.open('python');
  await until('off', () => editor.item.text === 'tinycopilot: off in this file');
  assert.match(editor.item.tooltip, /off in this file: this file may contain secrets/);
  untell('secret');
  await editor.commands['tinycopilot.resumeSuggestions'](); // the server says "ready", as after a change of `exclude`
  await until('on', () => editor.item.text === 'tinycopilot: ready');
});

test('an untrusted workspace offers to manage trust', async () => {
  editor.open('python');
  editor.vscode.workspace.isTrusted = false;
  begin({});
  assert.deepEqual(await buttons('only if you trust the workspace'), ['Manage trust', 'Show the log']);
  editor.messages[0].choose('Manage trust');
  await until('the page of trust', () => editor.executed.includes('workbench.trust.manage'));
});

test('a language that was turned off is shown in the status bar, with an action to turn it on', async () => {
  editor.open('python');
  begin();
  await until('ready', isReady);
  assert.deepEqual(editor.item.accessibilityInformation, { label: 'tinycopilot: ready', role: 'button' });
  const toggle = editor.commands['tinycopilot.toggleLanguage'];
  await toggle();
  await until('off', () => editor.item.text === 'tinycopilot: off in python');
  assert.deepEqual(editor.settings.languages, ['default', '-python']);
  assert.match(editor.item.tooltip, /off in python/);
  await toggle();
  assert.deepEqual(editor.settings.languages, ['default']);
  await until('ready', isReady);
});

test('the first start says what it does, once on this machine', async () => {
  editor.isNew = true;
  editor.open('python');
  begin();
  const { text, choose } = await editor.message('completes code as you type');
  for (const key of ['Tab', 'Ctrl+Right', 'Esc', 'status bar', 'nothing leaves this machine']) assert.ok(text.includes(key), key);
  choose('Only when I ask');
  await until('on demand', () => editor.settings.inline === 'onDemand');
  editor.messages.length = 0;
  const [first] = running();
  restart();
  await until('another', () => running().length === 1 && running()[0] !== first && isReady());
  assert.deepEqual(editor.messages, []);
});

test('suggestions on demand: the menu turns them on and off, and the status bar says how to ask', async () => {
  editor.open('python');
  begin();
  await until('ready', isReady);
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

test('why: the page of the server is shown beside the editor, in one panel, and nothing if there is none', async () => {
  editor.open('python');
  begin();
  await until('ready', isReady);
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
  assert.equal(editor.panels.length, 1);  // the same one shows the new page
  assert.equal(webview.html, '<!DOCTYPE html><title>another</title>');
  close();
  await editor.commands['tinycopilot.why']();
  assert.equal(editor.panels.length, 2);
  editor.panels[1].close();
});

test('a pause survives the window; without a server nothing is paused', async () => {
  editor.open('python');
  begin();
  await until('ready', isReady);
  await editor.commands['tinycopilot.pauseForAnHour']();
  await until('off', () => editor.says('off'));
  assert.match(editor.item.tooltip, /paused until/);
  assert.match(editor.item.text, /^tinycopilot: off until \d/);
  editor.set('enabled', false);
  await until('the end of the server', () => /disabled/.test(editor.item.tooltip));
  await extension.deactivate();
  for (const one of context.subscriptions) one.dispose?.();
  begin({ enabled: true });
  await until('a pause', () => editor.says('off') && /paused until/.test(editor.item.tooltip));
  await editor.commands['tinycopilot.resumeSuggestions']();
  await until('ready', isReady);
});
