// A fake of VS Code's API for tests of the extension: records calls, and returns what a test sets.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';

export const root = resolve(import.meta.dirname, '../../editors/vscode');

globalThis.clone = '';  // in which the extension was built

/** Builds sources of the extension into `room`, with globalThis.vscode for `vscode`, and loads them. */
export async function loadSources(room, ...names) {
  const { build } = createRequire(`${root}/`)('esbuild');
  writeFileSync(join(room, 'vscode.cjs'), 'module.exports = Object.create(globalThis.vscode);');
  await build({
    entryPoints: names.map(name => join(root, `src/${name}.ts`)),
    outdir: room, outExtension: { '.js': '.cjs' }, alias: { vscode: join(room, 'vscode.cjs') },
    bundle: true, platform: 'node', format: 'cjs', logLevel: 'error', define: { CLONE: 'globalThis.clone' },
  });
  const load = createRequire(join(room, 'x'));
  return names.map(name => load(`./${name}.cjs`));
}

/** Polls until the result is truthy; otherwise the test times out. */
export async function until(what, ask) {
  for (const end = Date.now() + 60_000; Date.now() < end; await new Promise(resolve => realTimeout(resolve, 10))) {
    const answer = ask();
    if (answer) return answer;
  }
  throw new Error(`${what}: not within 60 s`);
}
const realTimeout = setTimeout;  // a test may mock the clock

/** A stand-in for API that the library uses and no test checks: can be called, extended, constructed and accessed. */
const ANYTHING = new Proxy(function () {}, {
  get: (target, key) => key === 'prototype' ? target.prototype : typeof key === 'symbol' || key === 'then' ? undefined : ANYTHING,
  apply: () => ANYTHING,
});

/** Returns ANYTHING for missing properties. */
function open(known) {
  return new Proxy(known, { get: (target, key) => key in target ? target[key] : ANYTHING });
}

function memento(kept) {
  return {
    get: key => kept.get(key),
    update: async (key, value) => void (value === undefined ? kept.delete(key) : kept.set(key, JSON.parse(JSON.stringify(value)))),
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
  /** VS Code's commands that were executed. */
  executed = [];
  /** Messages: `{ text, buttons, choose }`. */
  messages = [];
  logged = [];
  panels = [];
  kept = new Map();
  /** Whether the extension has never been started on this machine. */
  isNew = false;
  item = { isShown: false, show: () => { this.item.isShown = true; }, hide: () => { this.item.isShown = false; }, dispose() {} };

  /** Whether the status bar shows that state. */
  says(state) {
    return this.item.isShown && this.contexts['tinycopilot.state'] === state;
  }

  message(part) {
    return until(`a message with "${part}", not ${JSON.stringify(this.messages.map(({ text }) => text))}`, () =>
      this.messages.find(({ text }) => text.includes(part)));
  }

  /** Opens a document, and shows it. */
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
    const mark = join(folder, 'welcomed');
    mkdirSync(folder, { recursive: true });
    if (this.isNew) rmSync(mark, { force: true });
    else writeFileSync(mark, '');
    this.isNew = false;
    return {
      subscriptions: [], globalStorageUri: { fsPath: folder }, asAbsolutePath: path => join(folder, path),
      workspaceState: memento(this.kept),
    };
  }

  constructor() {
    const say = (text, ...rest) => new Promise(choose => {
      const buttons = rest.filter(one => typeof one === 'string');
      this.messages.push({ text, buttons, choose, detail: rest[0]?.detail });
    });
    const log = open(Object.fromEntries(['info', 'warn', 'error', 'debug', 'trace', 'append', 'appendLine'].map(name =>
      [name, (...words) => void this.logged.push(words.join(' '))])));
    const packageJSON = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
    const configuration = {
      get: (key, usual) => this.settings[key] ?? packageJSON.contributes.configuration.properties[`tinycopilot.${key}`]?.default ?? usual,
      inspect: key => ({ globalValue: this.settings[key] }),
      update: async (key, value) => this.set(key, value),
    };
    this.vscode = open({
      EventEmitter, version: '1.91.0', ViewColumn: { Beside: -2 }, ProgressLocation: { Notification: 15, Window: 10 }, QuickPickItemKind: { Separator: -1 },
      env: open({ language: 'en', appName: 'none' }),
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
      window: open({
        activeTextEditor: undefined, visibleTextEditors: [], tabGroups: open({ all: [] }),
        createOutputChannel: () => log, createStatusBarItem: () => this.item,
        showErrorMessage: say, showInformationMessage: say, showWarningMessage: say,
        createWebviewPanel: (type, title, column, options) => {
          const closed = new EventEmitter();
          const panel = { type, title, column, options, webview: { html: '' }, reveal() {}, onDidDispose: closed.event, close: () => closed.fire() };
          this.panels.push(panel);
          return panel;
        },
        withProgress: (_, work) => work({ report() {} }, { onCancellationRequested: () => ({ dispose() {} }) }),
        onDidChangeActiveTextEditor: this.events.active.event,
      }),
      workspace: open({
        isTrusted: true, workspaceFolders: [], textDocuments: [], notebookDocuments: [],
        getConfiguration: () => configuration,
        onDidOpenTextDocument: this.events.document.event, onDidChangeConfiguration: this.events.configuration.event,
      }),
    });
  }
}

let current;

/** A new VS Code with nothing open, which replaces the last one. */
export function newEditor() {
  globalThis.vscode ??= new Proxy({}, { get: (_, key) => current.vscode[key] });
  return current = new Editor();
}
