// Start the extension: create its parts, and restart the server when the settings or workspace trust change.
import { join } from 'node:path';
import { commands, type ExtensionContext, window, workspace } from 'vscode';
import { actionsOf, activeDocument, type Host, offIn } from './actions';
import { OPEN_BRACKET, openBracket } from './brackets';
import { Client, type ServerStatus } from './client';
import { type Command, findServer, programIn } from './command';
import { runAction, type Remedy, showError } from './failure';
import { install, installTorch, type Places } from './install';
import { showMenu } from './menu';
import { multiline } from './multiline';
import { Pause } from './pause';
import { hasLanguage, isOnDemand, readSettings, restartKey } from './settings';
import { StatusItem } from './status';
import { TrainingBar } from './training';
import { welcome } from './welcome';

/** Time limit for loading, after which the server counts as unresponsive. */
const LOADING_MS = 60_000;
/** The same limit while the server reports progress: the first compilation takes minutes on a slow or busy machine. */
const WORKING_MS = 900_000;

let client: Client | undefined;

export function activate(context: ExtensionContext): void {
  const log = window.createOutputChannel('tinycopilot', { log: true });
  const item = new StatusItem();
  const environment = join(context.globalStorageUri.fsPath, 'server');
  const pause = new Pause(ask, context.workspaceState);
  const training = new TrainingBar(() => void ask('tinycopilot.cancelTraining'));
  let status: ServerStatus | undefined;
  let loading: NodeJS.Timeout | undefined;
  let canInstall = false;
  let serverCommand: Command | undefined;

  async function ask<Answer>(command: string, ...args: unknown[]): Promise<Answer> {
    if (!client?.isRunning()) {
      const why = waits ? 'open a file in an enabled language' : status?.message;
      throw new Error(['the server is not running', why].filter(Boolean).join(': '));
    }
    return client.ask(command, ...args);
  }

  function show(next: ServerStatus | undefined): void {
    status = next;
    clearTimeout(loading);
    if (!next) return item.hide();
    log.info(next.message ? `${next.state}: ${next.message}` : next.state);
    if (next.state === 'loading') {
      loading = setTimeout(() => fail('The server does not respond.'), next.message ? WORKING_MS : LOADING_MS);
    }
    draw(next);
  }

  /** Updates the status bar. */
  function draw(next: ServerStatus): void {
    const isPaused = next.state === 'off' && client?.isRunning();
    const until = isPaused && pause.until?.toLocaleTimeString([], { timeStyle: 'short' });
    const suggests = next.state === 'ready' || next.state === 'busy';
    const language = suggests || waits ? offIn() : undefined;
    const reason = suggests && !language ? whyHidden() : undefined;
    item.show(until ? { ...next, message: `paused until ${until}` } : next,
      { isOnDemand: isOnDemand(), offIn: language ?? (reason && 'this file'), until: until || undefined, reason });
  }

  /** Why the active document gets no ghost text, although its language is on. */
  function whyHidden(): string | undefined {
    const document = activeDocument();
    const isGhostTextOff = document && workspace.getConfiguration('editor', document).get('inlineSuggest.enabled') === false;
    if (isGhostTextOff && !isOnDemand() && readSettings().forServer['popup'] !== true) return 'the editor.inlineSuggest.enabled setting is off';
    return silent?.uri === document?.uri.toString() ? silent?.reason : undefined;
  }

  /** The active document, and why it gets no suggestions, if the server has excluded it although its language is on. */
  let silent: { uri: string; reason: string } | undefined;

  /** Asks the server whether there are suggestions in the active document, and updates the status bar. */
  async function checkActive(): Promise<void> {
    const uri = window.activeTextEditor?.document.uri.toString();
    if (!uri || !client?.isRunning()) return;
    const answer = await ask<{ silentHere?: string } | null>('tinycopilot.status', uri).catch(() => null); // it may have just ended
    if (uri !== window.activeTextEditor?.document.uri.toString() || !status) return;
    silent = answer?.silentHere ? { uri, reason: answer.silentHere } : undefined;
    draw(status);
  }

  function setContext(key: string, value: unknown): void {
    void commands.executeCommand('setContext', `tinycopilot.${key}`, value);
  }

  function setRuns(runs: boolean): void {
    setContext('runs', runs);
    if (!client?.isRunning()) {
      if (training.isRunning) void window.showWarningMessage('tinycopilot: training ended early, because the server stopped. The model is unchanged.');
      training.end();
    }
    setContext('trains', training.isRunning);
  }

  const listener = {
    status(next: ServerStatus): void {
      show(next);
      if (next.state === 'ready') void checkActive().catch(error => log.error(error));
      setRuns(next.state !== 'loading' && client?.isRunning() === true);
      void pause.onStatus(next).catch(error => log.error(error));
      if (next.state === 'ready') void welcome(context.globalStorageUri.fsPath).catch(error => log.error(error));
    },
    training(next: Parameters<TrainingBar['onStatus']>[0]): void {
      training.onStatus(next);
      if (next.state !== 'running') log.info('training:', JSON.stringify(next));
      setContext('trains', training.isRunning);
    },
    failed: (message: string) => fail(message),
  };

  /** Shows an error: the server is missing or does not respond. */
  function fail(message: string, remedies: Remedy[] = ['Restart', 'Show the log']): void {
    setRuns(false);
    log.error(message);
    show({ state: 'error', message });
    void showError(message, canInstall && workspace.isTrusted ? ['Install', ...remedies] : remedies);
  }

  /** Runs an installation, unless one is running; then waits for that one. */
  let installing: Promise<boolean> | undefined;
  function once(work: () => Promise<boolean>): Promise<boolean> {
    return installing ??= work().finally(() => { installing = undefined; });
  }

  function places(): Places {
    const { installFrom, torchIndex } = readSettings();
    return { environment, wheels: context.asAbsolutePath('wheel'), installFrom, torchIndex };
  }

  async function installServer(): Promise<boolean> {
    await last;
    if (!canInstall) throw new Error(`nothing to install: ${serverCommand?.command ?? 'the tinycopilot.serverCommand setting'} is used`);
    if (!await install(places(), log)) return false;
    restart();
    if (waits) void window.showInformationMessage('tinycopilot: the server is installed. It starts when you open a file in an enabled language.');
    return true;
  }

  /** Whether the server will start when a document in one of the languages is opened. */
  let waits = false;
  let startedWith = '';

  /** Hides the status item, except in a language that is off, so that it can be turned on. */
  function showWaiting(): void {
    show(offIn() ? { state: 'off' } : undefined);
  }

  async function start(): Promise<void> {
    setRuns(false);
    const settings = readSettings();
    startedWith = restartKey(settings);
    waits = settings.enabled && !workspace.textDocuments.some(document => hasLanguage(settings, document.languageId));
    if (!settings.enabled) return show({ state: 'off', message: 'disabled in the settings' });
    if (waits) showWaiting();
    else show({ state: 'loading' });
    const command = await findServer(settings.serverCommand, environment, log, !waits);
    const isNamed = settings.serverCommand.length > 0;
    canInstall = !isNamed && ('missing' in command || command.command === programIn(environment));
    setContext('canInstall', canInstall);
    serverCommand = 'missing' in command ? undefined : command;
    if (waits) return;
    if ('missing' in command) {
      return fail(command.missing, isNamed || workspace.isTrusted ? ['Show the log', 'Open the setting'] : ['Manage trust', 'Show the log']);
    }
    log.info(`starting ${[command.command, ...command.args].join(' ')}`);
    client = new Client(command, settings, log, listener);
    void client.run();
  }

  /** Serializes restarts, since concurrent ones could leave a server running. At most one is queued. */
  let last = Promise.resolve();
  let isQueued = false;
  function restart(): void {
    if (isQueued) return;
    isQueued = true;
    last = last.then(deactivate).finally(() => { isQueued = false; }).then(start).catch(error => fail(`The server could not be started: ${error}`));
  }

  const host: Host = {
    get status() { return status; },
    get command() { return serverCommand; },
    get runs() { return client?.isRunning() === true; },
    get canInstall() { return canInstall; },
    log, pause, training, ask, checkActive, restart,
    install: () => once(installServer),
    installTorch: () => once(() => installTorch(places(), log)),
  };
  const actions = actionsOf(host);

  context.subscriptions.push(
    log,
    item,
    pause,
    { dispose: () => clearTimeout(loading) },
    ...actions.map(({ command, run }) => commands.registerCommand(command, () => runAction(run))),
    commands.registerCommand(OPEN_BRACKET, openBracket),
    ...multiline(),
    commands.registerCommand('tinycopilot.menu', () =>
      showMenu(actions, status ? `tinycopilot: ${[status.state, status.message].filter(Boolean).join(': ')}` : 'tinycopilot')),
    workspace.onDidGrantWorkspaceTrust(restart),
    workspace.onDidChangeConfiguration(() => {
      if (restartKey(readSettings()) !== startedWith) restart();  // serverCommand in workspace settings is ignored
      else if (status) draw(status);
    }),
    workspace.onDidOpenTextDocument(({ languageId }) => {
      if (waits && hasLanguage(readSettings(), languageId)) restart();
      else if (!waits && status) draw(status);  // the active document's language may have changed
    }),
    window.onDidChangeActiveTextEditor(() => {
      if (waits) return showWaiting();
      if (status) draw(status);
      void checkActive().catch(error => log.error(error));
    }),
  );
  restart();
}

export async function deactivate(): Promise<void> {
  const ending = client;
  client = undefined;
  await ending?.end();
}
