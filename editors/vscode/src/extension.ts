import { commands, type ExtensionContext, window, workspace } from 'vscode';
import { Client, type ServerStatus } from './client';
import { findServer } from './command';
import { readSettings } from './settings';
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

  function start(): void {
    const settings = readSettings();
    if (!settings.enabled) return item.hide();
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
      if (event.affectsConfiguration('tinycopilot')) restart();
    }),
  );
  restart();
}

export async function deactivate(): Promise<void> {
  const ending = client;
  client = undefined;
  await ending?.end();
}
