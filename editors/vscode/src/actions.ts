// The actions in the menu and the command palette: their labels, when each is offered, and what it runs.
import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { basename, extname } from 'node:path';
import {
  commands, type LogOutputChannel, ProcessExecution, ProgressLocation, Task, tasks, Uri, ViewColumn, type WebviewPanel, window, workspace,
} from 'vscode';
import { CELL_SCHEME, SCHEMES, type ServerStatus } from './client';
import { type Command, programBeside } from './command';
import type { Pause } from './pause';
import { hasLanguage, isOnDemand, readSettings, setLanguage, setOnDemand } from './settings';
import type { TrainingBar } from './training';

/** State and functions of the extension that actions use. */
export interface Host {
  /** The command that started the running server. */
  readonly command: Command | undefined;
  readonly status: ServerStatus | undefined;
  /** Whether a server is running and accepts commands. */
  readonly runs: boolean;
  /** Whether there is no server, or the server is in the extension's own environment and can be updated. */
  readonly canInstall: boolean;
  readonly log: LogOutputChannel;
  readonly pause: Pause;
  readonly training: TrainingBar;
  ask<Answer>(command: string, ...args: unknown[]): Promise<Answer>;
  /** Updates the status bar, after suggestions in the active document were turned on or off. */
  checkActive(): Promise<void>;
  install(): Promise<boolean>;
  /** Installs PyTorch into the extension's own environment, if the user agrees; returns whether training can start. */
  installTorch(): Promise<boolean>;
  restart(): void;
}

/** An entry of the menu and of the command palette. The palette shows the title in package.json. */
export interface Action {
  command: string;
  group: 'Suggestions' | 'Model and data' | 'Server';
  /** Text with an icon, as `$(name)`. */
  label(): string;
  /** Whether it is available now. `enablement` in package.json is the same condition, for the command palette. */
  isOffered(): boolean;
  run(): unknown;
}

/** The page that explains a suggestion, while it is open. */
let explanation: WebviewPanel | undefined;

const HOUR_MINUTES = 60;
const SNOOZE_MINUTES = 5;

/** All actions, in the order of the menu. Names must differ from the server's commands, which the library registers. */
export function actionsOf(host: Host): Action[] {
  const suggests = () => host.status?.state === 'ready' || host.status?.state === 'busy';
  const language = () => activeDocument()?.languageId ?? '';
  const isOn = () => hasLanguage(readSettings(), language());
  return [
    {
      command: 'tinycopilot.resumeSuggestions', group: 'Suggestions', label: () => '$(play) Resume suggestions',
      isOffered: () => host.runs && host.status?.state === 'off', run: () => host.pause.end(),
    },
    {
      command: 'tinycopilot.snooze', group: 'Suggestions',
      label: () => host.pause.until ? `$(clock) Snooze for ${SNOOZE_MINUTES} more minutes` : `$(clock) Snooze for ${SNOOZE_MINUTES} minutes`,
      isOffered: () => suggests() || (host.runs && host.pause.until !== undefined),
      run: () => turnOff(() => host.pause.snooze(SNOOZE_MINUTES)),
    },
    {
      command: 'tinycopilot.pauseSuggestions', group: 'Suggestions', label: () => '$(debug-pause) Pause suggestions',
      isOffered: suggests, run: () => turnOff(() => host.pause.begin()),
    },
    {
      command: 'tinycopilot.pauseForAnHour', group: 'Suggestions', label: () => '$(watch) Pause for an hour',
      isOffered: suggests, run: () => turnOff(() => host.pause.begin(HOUR_MINUTES)),
    },
    {
      command: 'tinycopilot.toggleOnDemand', group: 'Suggestions',
      label: () => isOnDemand() ? '$(zap) Suggest as I type' : '$(bell-slash) Suggest only when I ask (Alt+\\)',
      isOffered: () => host.runs, run: () => turnOff(() => setOnDemand(!isOnDemand())),
    },
    {
      command: 'tinycopilot.toggleLanguage', group: 'Suggestions',
      label: () => isOn() ? `$(circle-slash) Turn off for ${language()}` : `$(play) Turn on for ${language()}`,
      isOffered: () => language() !== '', run: () => setLanguage(needDocument().languageId, !isOn()),
    },
    {
      command: 'tinycopilot.why', group: 'Suggestions', label: () => '$(question) Explain the last suggestion',
      isOffered: () => host.runs, run: () => why(host),
    },
    {
      command: 'tinycopilot.showStatistics', group: 'Suggestions', label: () => '$(graph) Statistics',
      isOffered: () => host.runs, run: () => showStatistics(host),
    },
    {
      command: 'tinycopilot.showKnowledge', group: 'Suggestions', label: () => '$(info) Show what is indexed',
      isOffered: () => host.runs, run: () => showKnowledge(host),
    },
    {
      command: 'tinycopilot.evaluate', group: 'Suggestions', label: () => '$(beaker) Evaluate: keystrokes saved in this workspace',
      isOffered: () => host.runs && workspace.isTrusted && (workspace.workspaceFolders ?? []).length > 0,
      run: () => evaluate(host),
    },
    {
      command: 'tinycopilot.trainHere', group: 'Model and data', label: () => '$(mortar-board) Train on this workspace…',
      isOffered: () => suggests() && !host.training.isRunning && (workspace.workspaceFolders ?? []).length > 0,
      run: () => train(host),
    },
    {
      command: 'tinycopilot.stopTraining', group: 'Model and data', label: () => '$(debug-stop) Stop training',
      isOffered: () => host.training.isRunning, run: () => host.ask('tinycopilot.cancelTraining'),
    },
    {
      command: 'tinycopilot.loadModelAgain', group: 'Model and data', label: () => '$(refresh) Reload the model',
      isOffered: () => host.runs, run: () => loadModelAgain(host),
    },
    {
      command: 'tinycopilot.forgetThisFile', group: 'Model and data', label: () => '$(trash) Forget this file',
      isOffered: () => host.runs && language() !== '', run: () => forgetThisFile(host),
    },
    {
      command: 'tinycopilot.forgetThisWorkspace', group: 'Model and data', label: () => '$(trash) Forget this workspace…',
      isOffered: () => host.runs && (workspace.workspaceFolders ?? []).length > 0, run: () => forgetThisWorkspace(host),
    },
    {
      command: 'tinycopilot.install', group: 'Server', label: () => '$(cloud-download) Install or update the server…',
      isOffered: () => host.canInstall && workspace.isTrusted, run: () => host.install(),
    },
    {
      command: 'tinycopilot.showLog', group: 'Server', label: () => '$(output) Show the log',
      isOffered: () => true, run: () => host.log.show(true),
    },
    {
      command: 'tinycopilot.openSettings', group: 'Server', label: () => '$(gear) Open the settings',
      isOffered: () => true,
      run: () => commands.executeCommand('workbench.action.openSettings', '@ext:tinycopilot.tinycopilot'),
    },
    {
      command: 'tinycopilot.restart', group: 'Server', label: () => '$(debug-restart) Restart the server',
      isOffered: () => true, run: () => host.restart(),
    },
  ];
}

/** Runs an action that turns suggestions off, and hides the visible one. */
async function turnOff(action: () => Promise<void>): Promise<void> {
  await action();
  await commands.executeCommand('editor.action.inlineSuggest.hide');  // otherwise it would stay
}

/** The active document, if the server could complete it; others are, for example, the output of programs. */
export function activeDocument() {
  const document = window.activeTextEditor?.document;
  return document && [...SCHEMES, CELL_SCHEME].includes(document.uri.scheme) ? document : undefined;
}

/** The active document. Throws if there is none: the command palette offers commands in the output panel, too. */
function needDocument() {
  const document = activeDocument();
  if (!document) throw new Error('go to a file first');
  return document;
}

/** The language of the active editor if it is turned off; undefined otherwise. */
export function offIn(): string | undefined {
  const document = activeDocument();
  return !document || hasLanguage(readSettings(), document.languageId) ? undefined : document.languageId;
}

/** Throws if no folder is open. The walkthrough runs commands that are not offered, too. */
function needFolder(): void {
  if (!workspace.workspaceFolders?.length) throw new Error('open a folder first');
}

/** Runs `tinycopilot eval` in a terminal, on files with the same extension as the active one, in its workspace folder. */
async function evaluate(host: Host): Promise<void> {
  needFolder();
  await host.ask('tinycopilot.status');  // throws if no server is running
  const { command } = host;
  const file = activeDocument()?.fileName;
  const folder = (file && workspace.getWorkspaceFolder(Uri.file(file))) || workspace.workspaceFolders?.[0];
  const { command: program, args } = command ? programBeside(command) : { command: undefined, args: [] };
  if (!folder || !program) throw new Error('the program `tinycopilot` was not found next to the server');
  const extension = offIn() ? '' : extname(file ?? '').slice(1);
  const words = [...args, 'eval', folder.uri.fsPath, ...(extension ? ['--ext', extension] : [])];
  const task = new Task({ type: 'process' }, folder, 'eval', 'tinycopilot', new ProcessExecution(program, words, { cwd: homedir() }));
  await tasks.executeTask(task);
}

async function showKnowledge(host: Host): Promise<void> {
  const { text } = await host.ask<{ text: string }>('tinycopilot.knowledge');
  await window.showInformationMessage('tinycopilot: what is indexed', { modal: true, detail: text }, { title: 'Close', isCloseAffordance: true });
}

/** Shows the page that explains the last suggestion, or why there was none. The server reports errors itself. */
async function why(host: Host): Promise<void> {
  const progress = { location: ProgressLocation.Window, title: 'tinycopilot: explaining the last suggestion' };
  const { path } = await window.withProgress(progress, () => host.ask<{ path: string }>('tinycopilot.explain'));
  if (!path) return;
  const html = await readFile(path, 'utf8');
  if (explanation) {
    explanation.reveal(undefined, true);
  } else {
    explanation = window.createWebviewPanel('tinycopilot.why', 'Last suggestion', ViewColumn.Beside, { enableScripts: true, localResourceRoots: [] });
    explanation.onDidDispose(() => { explanation = undefined; });
  }
  explanation.webview.html = html;
}

async function showStatistics(host: Host): Promise<void> {
  const { text, days } = await host.ask<{ text: string; days: object }>('tinycopilot.statistics');
  const choices = Object.keys(days).length > 0 ? ['Close', 'Delete…'] : ['Close'];  // Enter selects the first
  const choice = await window.showInformationMessage('tinycopilot: statistics', { modal: true, detail: text }, ...choices);
  if (choice !== 'Delete…') return;
  const detail = 'All usage statistics on this machine will be deleted.';
  if (await isSure('Delete the statistics?', detail, 'Delete')) await host.ask('tinycopilot.forgetStatistics');
}

/** Asks before deleting. Enter selects the first button, which keeps everything. */
async function isSure(question: string, detail: string, deletion: string): Promise<boolean> {
  return await window.showWarningMessage(question, { modal: true, detail }, 'Keep', deletion) === deletion;
}

async function train(host: Host): Promise<void> {
  needFolder();
  const { last } = host.training;
  const { canTrain } = await host.ask<{ canTrain: boolean }>('tinycopilot.status');
  if (!canTrain) {
    // Never install into an environment that the user made; there the server's message shows the command.
    if (!host.canInstall) return host.ask('tinycopilot.trainWorkspace', {});
    if (!await host.installTorch()) return;
  }
  const choice = await window.showQuickPick([2, 5, 15].map(minutes => ({ label: `${minutes} minutes`, minutes })), {
    title: 'Train on this workspace',
    placeHolder: last ? `Last result: ${last}` : 'Training time. The new model is used only if it is better in this workspace.',
  });
  if (choice) await host.ask('tinycopilot.trainWorkspace', { minutes: choice.minutes });  // the server reports problems itself
}

async function loadModelAgain(host: Host): Promise<void> {
  const { reloaded } = await host.ask<{ reloaded: boolean }>('tinycopilot.reloadModel');  // the server reports problems itself
  if (reloaded) void window.showInformationMessage('tinycopilot: model reloaded.');
}

async function forgetThisFile(host: Host): Promise<void> {
  const { uri } = needDocument();
  await host.ask('tinycopilot.forgetFile', uri.toString());
  await host.checkActive();
  void window.showInformationMessage(
    `tinycopilot: ${basename(uri.path)} is removed from the index, and ignored until the server restarts. To ignore it permanently, use the tinycopilot.exclude setting.`);
}

async function forgetThisWorkspace(host: Host): Promise<void> {
  const detail = 'The index, the mixing weights learned from your typing, and the model trained on this workspace will be '
    + 'deleted from this machine. Your files and your own model are kept. Nothing about this workspace is stored until the server restarts.';
  if (!await isSure('Forget this workspace?', detail, 'Forget')) return;
  const { forgotten } = await host.ask<{ forgotten: string[] }>('tinycopilot.forgetWorkspace');
  const names = forgotten.map(folder => basename(Uri.file(folder).path)).join(', ');
  void window.showInformationMessage(`tinycopilot: forgot ${names}.`);
}
