// A fake of VS Code's API for tests of the extension: records calls, and returns values that the tests set.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';

export const root = resolve(import.meta.dirname, '../../editors/vscode');

globalThis.clone = '';  // the clone that the extension was built in

/** Bundles source files of the extension into the folder `scratch`, with globalThis.vscode as `vscode`, and loads them. */
export async function loadSources(scratch, ...names) {
  const { build } = createRequire(`${root}/`)('esbuild');
  writeFileSync(join(scratch, 'vscode.cjs'), 'module.exports = Object.create(globalThis.vscode);');
  await build({
    entryPoints: names.map(name => join(root, `src/${name}.ts`)),
    outdir: scratch, outExtension: { '.js': '.cjs' }, alias: { vscode: join(scratch, 'vscode.cjs') },
    bundle: true, platform: 'node', format: 'cjs', logLevel: 'error', define: { CLONE: 'globalThis.clone' },
  });
  const load = createRequire(join(scratch, 'x'));
  return names.map(name => load(`./${name}.cjs`));
}

/** Calls `poll` until its result is truthy, and returns it. Throws an error with `what` after 60 s. */
export async function waitFor(what, poll) {
  for (const end = Date.now() + 60_000; Date.now() < end; await new Promise(resolve => realTimeout(resolve, 10))) {
    const result = poll();
    if (result) return result;
  }
  throw new Error(`timed out after 60 s: ${what}`);
}
const realTimeout = setTimeout;  // tests may mock setTimeout

/** A stub for API that the library uses and no test checks: can be called, constructed, extended, and has any property. */
const ANYTHING = new Proxy(function () {}, {
  get: (target, key) => key === 'prototype' ? target.prototype : typeof key === 'symbol' || key === 'then' ? undefined : ANYTHING,
  apply: () => ANYTHING,
});

/** An object that has ANYTHING as the value of missing properties. */
function withStubs(known) {
  return new Proxy(known, { get: (target, key) => key in target ? target[key] : ANYTHING });
}

function memento(values) {
  return {
    get: key => values.get(key),
    update: async (key, value) => void (value === undefined ? values.delete(key) : values.set(key, JSON.parse(JSON.stringify(value)))),
  };
}

class EventEmitter {
  listeners = new Set();
  event = listener => {
    this.listeners.add(listener);
    return { dispose: () => this.listeners.delete(listener) };
  };
  fire(value) {
    for (const listener of this.listeners) listener(value);
  }
  dispose() {}
}

class Editor {
  events = { document: new EventEmitter(), active: new EventEmitter(), configuration: new EventEmitter() };
  settings = {};
  contexts = {};
  commands = {};
  /** Built-in commands that the extension has executed. */
  executed = [];
  /** Messages that the extension has shown: `{ text, buttons, choose, detail }`; `choose` presses a button. */
  messages = [];
  logged = [];
  panels = [];
  workspaceState = new Map();
  /** Whether the next start is the first one on this machine. */
  isNew = false;
  item = { isShown: false, show: () => { this.item.isShown = true; }, hide: () => { this.item.isShown = false; }, dispose() {} };

  /** Whether the status bar shows this state. */
  showsState(state) {
    return this.item.isShown && this.contexts['tinycopilot.state'] === state;
  }

  /** Waits for a message that contains `part`. */
  waitForMessage(part) {
    return waitFor(`a message with "${part}", got ${JSON.stringify(this.messages.map(({ text }) => text))}`, () =>
      this.messages.find(({ text }) => text.includes(part)));
  }

  /** Opens a document in the active editor. */
  open(languageId) {
    const document = { languageId, uri: { scheme: 'file', fsPath: '/x', toString: () => 'file:///x' }, getText: () => '', isClosed: false, version: 1 };
    this.vscode.workspace.textDocuments.push(document);
    this.vscode.window.activeTextEditor = { document };
    this.events.document.fire(document);
    this.events.active.fire(this.vscode.window.activeTextEditor);
  }

  set(key, value) {
    this.settings[key] = value;
    this.events.configuration.fire({ affectsConfiguration: () => true });
  }

  context(folder) {
    const marker = join(folder, 'welcomed');
    mkdirSync(folder, { recursive: true });
    if (this.isNew) rmSync(marker, { force: true });
    else writeFileSync(marker, '');
    this.isNew = false;
    return {
      subscriptions: [], globalStorageUri: { fsPath: folder }, asAbsolutePath: path => join(folder, path),
      workspaceState: memento(this.workspaceState),
    };
  }

  constructor() {
    const showMessage = (text, ...rest) => new Promise(choose => {
      const buttons = rest.filter(item => typeof item === 'string');
      this.messages.push({ text, buttons, choose, detail: rest[0]?.detail });
    });
    const log = withStubs(Object.fromEntries(['info', 'warn', 'error', 'debug', 'trace', 'append', 'appendLine'].map(name =>
      [name, (...words) => void this.logged.push(words.join(' '))])));
    const packageJSON = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
    const configuration = {
      get: (key, fallback) => this.settings[key] ?? packageJSON.contributes.configuration.properties[`tinycopilot.${key}`]?.default ?? fallback,
      inspect: key => ({ globalValue: this.settings[key] }),
      update: async (key, value) => this.set(key, value),
    };
    this.vscode = withStubs({
      EventEmitter, version: '1.91.0', ViewColumn: { Beside: -2 }, ProgressLocation: { Notification: 15, Window: 10 }, QuickPickItemKind: { Separator: -1 },
      env: withStubs({ language: 'en', appName: 'none' }),
      extensions: { getExtension: name => name === 'tinycopilot.tinycopilot' ? { packageJSON } : this.python },
      commands: {
        registerCommand: (name, run) => {
          this.commands[name] = run;
          return { dispose: () => delete this.commands[name] };
        },
        executeCommand: async (name, ...args) => {
          if (name === 'setContext') this.contexts[args[0]] = args[1];
          else if (name in this.commands) return this.commands[name](...args);
          else this.executed.push(name);
        },
      },
      window: withStubs({
        activeTextEditor: undefined, visibleTextEditors: [], tabGroups: withStubs({ all: [] }),
        createOutputChannel: () => log, createStatusBarItem: () => this.item,
        showErrorMessage: showMessage, showInformationMessage: showMessage, showWarningMessage: showMessage,
        createWebviewPanel: (type, title, column, options) => {
          const closed = new EventEmitter();
          const panel = { type, title, column, options, webview: { html: '' }, reveal() {}, onDidDispose: closed.event, close: () => closed.fire() };
          this.panels.push(panel);
          return panel;
        },
        withProgress: (_, work) => work({ report() {} }, { onCancellationRequested: () => ({ dispose() {} }) }),
        onDidChangeActiveTextEditor: this.events.active.event,
      }),
      workspace: withStubs({
        isTrusted: true, workspaceFolders: [], textDocuments: [], notebookDocuments: [],
        getConfiguration: () => configuration,
        onDidOpenTextDocument: this.events.document.event, onDidChangeConfiguration: this.events.configuration.event,
      }),
    });
  }
}

let current;

/** Creates a VS Code with nothing open; globalThis.vscode is its API from then on. */
export function newEditor() {
  globalThis.vscode ??= new Proxy({}, { get: (_, key) => current.vscode[key] });
  return current = new Editor();
}
