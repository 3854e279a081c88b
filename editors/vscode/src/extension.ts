import { join } from 'node:path';
import { commands, type ExtensionContext, window, workspace } from 'vscode';
import { actionsOf, type Host } from './actions';
import { Client, type ServerStatus } from './client';
import { findServer, programIn } from './command';
import { install } from './install';
import { showMenu } from './menu';
import { Pause } from './pause';
import { hasLanguage, readSettings, restarting } from './settings';
import { StatusItem } from './status';
import { TrainingBar } from './training';

let client: Client | undefined;

export function activate(context: ExtensionContext): void {
  const log = window.createOutputChannel('tinycopilot', { log: true });
  const item = new StatusItem();
  const environment = join(context.globalStorageUri.fsPath, 'server');
  const pause = new Pause(ask);
  const training = new TrainingBar(() => void ask('tinycopilot.cancelTraining'));
  let status: ServerStatus | undefined;
  let isMissing = false;
  let canInstall = false;

  async function ask<Answer>(command: string, ...args: unknown[]): Promise<Answer> {
    if (!client?.isRunning()) throw new Error('tinycopilot: no server runs');
    return client.ask(command, ...args);
  }

  function show(next: ServerStatus | undefined): void {
    status = next;
    if (!next) return item.hide();
    log.info(next.message ? `${next.state}: ${next.message}` : next.state);
    const until = next.state === 'off' && pause.until?.toLocaleTimeString([], { timeStyle: 'short' });
    item.show(until ? { ...next, message: `paused until ${until}` } : next);
  }

  function setContext(key: string, value: unknown): void {
    void commands.executeCommand('setContext', `tinycopilot.${key}`, value);
  }

  function setRuns(runs: boolean): void {
    setContext('runs', runs);
    if (!runs) training.end();
    setContext('trains', training.isRunning);
  }

  const listener = {
    status(next: ServerStatus): void {
      show(next);
      setRuns(next.state !== 'loading' && client?.isRunning() === true);
      void pause.heard(next).catch(error => log.error(error));
    },
    training(next: Parameters<TrainingBar['heard']>[0]): void {
      training.heard(next);
      if (next.state !== 'running') log.info('training:', JSON.stringify(next));
      setContext('trains', training.isRunning);
    },
    failed(message: string): void {
      void fail(message);
    },
  };

  async function fail(message: string): Promise<void> {
    setRuns(false);
    log.error(message);
    show({ state: 'error', message });
    const choices = ['Show the log', 'Open the setting'];
    if (isMissing && workspace.isTrusted) choices.unshift('Install');
    const choice = await window.showErrorMessage(`tinycopilot: ${message}`, ...choices);
    if (choice === 'Install') await installServer();
    if (choice === 'Show the log') log.show(true);
    if (choice === 'Open the setting') await commands.executeCommand('workbench.action.openSettings', 'tinycopilot.serverCommand');
  }

  async function installServer(): Promise<void> {
    const { installFrom, torchIndex } = readSettings();
    if (await install({ environment, wheels: context.asAbsolutePath('wheel'), installFrom, torchIndex }, log)) restart();
  }

  /** For a document to complete: until there is one, no server runs. */
  let waits = false;
  let startedWith = '';
  async function start(): Promise<void> {
    setRuns(false);
    waits = isMissing = false;
    const settings = readSettings();
    startedWith = restarting(settings);
    if (!settings.enabled) return show({ state: 'off', message: 'not enabled in the settings' });
    waits = !workspace.textDocuments.some(document => hasLanguage(settings, document.languageId));
    if (waits) return show(undefined);
    const command = await findServer(settings.serverCommand, environment, log);
    isMissing = 'missing' in command;
    canInstall = 'missing' in command || command.command === programIn(environment);
    setContext('canInstall', canInstall);
    if ('missing' in command) return listener.failed(command.missing);
    log.info(`starting ${[command.command, ...command.args].join(' ')}`);
    client = new Client(command, settings, log, listener);
    void client.run();
  }

  /** One restart after another: two at once would leave a server that nobody ends. */
  let last = Promise.resolve();
  function restart(): void {
    last = last.then(deactivate).then(start).catch(error => log.error(error));
  }

  const host: Host = {
    get status() { return status; },
    get runs() { return client?.isRunning() === true; },
    get canInstall() { return canInstall; },
    log, pause, training, ask, restart, install: installServer,
  };
  const actions = actionsOf(host);

  context.subscriptions.push(
    log,
    item,
    { dispose: () => pause.forget() },
    ...actions.map(({ command, run }) => commands.registerCommand(command, run)),
    commands.registerCommand('tinycopilot.menu', () =>
      showMenu(actions, status ? `tinycopilot: ${[status.state, status.message].filter(Boolean).join(': ')}` : 'tinycopilot')),
    workspace.onDidGrantWorkspaceTrust(restart),
    workspace.onDidChangeConfiguration(() => {
      if (restarting(readSettings()) !== startedWith) restart();  // a workspace's serverCommand counts for nothing
    }),
    workspace.onDidOpenTextDocument(({ languageId }) => {
      if (waits && hasLanguage(readSettings(), languageId)) restart();
    }),
  );
  restart();
}

export async function deactivate(): Promise<void> {
  const ending = client;
  client = undefined;
  await ending?.end();
}
