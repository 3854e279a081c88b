import { commands, type ExtensionContext, window, workspace } from 'vscode';
import { Client, type ServerStatus } from './client';
import { findServer } from './command';
import { hasLanguage, readSettings, RESTARTING } from './settings';
import { StatusItem } from './status';

let client: Client | undefined;

export function activate(context: ExtensionContext): void {
  const log = window.createOutputChannel('tinycopilot', { log: true });
  const item = new StatusItem();

  function showStatus(status: ServerStatus): void {
    log.info(status.message ? `${status.state}: ${status.message}` : status.state);
    item.show(status);
  }

  async function fail(message: string): Promise<void> {
    log.error(message);
    item.show({ state: 'error', message });
    const choice = await window.showErrorMessage(`tinycopilot: ${message}`, 'Show the log', 'Open the setting');
    if (choice === 'Show the log') log.show(true);
    if (choice === 'Open the setting') await commands.executeCommand('workbench.action.openSettings', 'tinycopilot.serverCommand');
  }

  /** For a document to complete: until there is one, no server runs. */
  let waits = false;
  function start(): void {
    waits = false;
    const settings = readSettings();
    if (!settings.enabled) return item.hide();
    waits = !workspace.textDocuments.some(document => hasLanguage(settings, document.languageId));
    if (waits) return;
    const command = findServer(settings.serverCommand);
    if ('missing' in command) return void fail(command.missing);
    log.info(`starting ${[command.command, ...command.args].join(' ')}`);
    client = new Client(command, settings, log, { status: showStatus, failed: fail });
    void client.run();
  }

  /** One restart after another: two at once would leave a server that nobody ends. */
  let last = Promise.resolve();
  function restart(): void {
    last = last.then(deactivate).then(start);
  }

  context.subscriptions.push(
    log,
    item,
    commands.registerCommand('tinycopilot.restart', restart),
    commands.registerCommand('tinycopilot.showLog', () => log.show(true)),
    workspace.onDidChangeConfiguration(event => {
      if (RESTARTING.some(name => event.affectsConfiguration(name))) restart();
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
