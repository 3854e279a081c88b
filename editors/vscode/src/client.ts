import { homedir } from 'node:os';
import { createInterface } from 'node:readline';
import type { LogOutputChannel } from 'vscode';
import {
  CloseAction, type CloseHandlerResult, DidChangeConfigurationNotification, ErrorAction, ExecuteCommandRequest,
  LanguageClient, type MessageTransports, type TextDocumentFilter,
} from 'vscode-languageclient/node';
import type { Command } from './command';
import { namedLanguages, readSettings, type Settings } from './settings';
import { within } from './time';
import type { TrainingStatus } from './training';

/** How the server is. It sends this itself, as `tinycopilot/status`. */
export interface ServerStatus {
  state: 'loading' | 'ready' | 'busy' | 'off' | 'error';
  message?: string;
}

export interface Listener {
  /** The server's state has changed. On an error it has told the user itself. */
  status(status: ServerStatus): void;
  training(status: TrainingStatus): void;
  /** There is no server any more, so the user must be told. */
  failed(message: string): void;
}

const SECTION = 'tinycopilot';
/** So long an end is waited for of a server that was still starting. */
const END_MS = 5_000;

/** Documents on disk, and those that have no file yet. */
export const SCHEMES = ['file', 'untitled'];

function selector(languages: string[] | undefined): TextDocumentFilter[] {
  if (!languages) return SCHEMES.map(scheme => ({ scheme }));
  return SCHEMES.flatMap(scheme => languages.map(language => ({ language, scheme })));
}

/** The server, which comes again if it dies. When a setting changes, it is told; or, for some, there is a new Client. */
export class Client extends LanguageClient {
  private readonly crashes = this.createDefaultErrorHandler();  // four restarts in three minutes, and no more
  private starting = Promise.resolve();
  private hasRun = false;
  private comesAgain = false;
  private ended = false;

  constructor(command: Command, settings: Settings, log: LogOutputChannel, private readonly listener: Listener) {
    // Not in the workspace: `python -m` takes modules from its working directory first, and would run what lies there.
    const server = { ...command, options: { cwd: homedir() } };
    super('tinycopilot', 'tinycopilot', server, {
      documentSelector: selector(namedLanguages(settings)),
      initializationOptions: settings.forServer,
      outputChannel: log,
      stdioOptions: {
        stdout: () => undefined,
        stderr: (stream, channel) => createInterface({ input: stream }).on('line', line => channel.info(line)),
      },
      middleware: {
        // What can be stopped has a bar of ours, with a button (training.ts): the library's has none.
        handleWorkDoneProgress: (token, params, next) => {
          if (params.kind !== 'begin' || !params.cancellable) next(token, params);
        },
        workspace: {
          configuration: ({ items }) => items.map(item => item.section === SECTION ? readSettings().forServer : null),
          didChangeConfiguration: () => this.tellSettings(),
        },
      },
      initializationFailedHandler: () => false,
      errorHandler: {
        error: () => ({ action: ErrorAction.Continue, handled: true }),
        closed: () => this.closed(),
      },
    });
    this.onNotification('tinycopilot/status', (status: ServerStatus) => {
      if (!this.ended) listener.status(status);
    });
    this.onNotification('tinycopilot/training', (status: TrainingStatus) => {
      if (!this.ended) listener.training(status);
    });
  }

  /** Starts it. If it does not come up, the listener is told. */
  run(): Promise<void> {
    return this.starting = this.comeUp();
  }

  private async comeUp(): Promise<void> {
    if (this.ended) return;
    this.hasRun = false;
    this.listener.status({ state: 'loading' });
    try {
      await this.start();
      this.hasRun = true;
    } catch {
      if (!this.ended) this.listener.failed('The server did not start.');
    }
  }

  /** Has the server run one of its commands. */
  ask<Answer>(command: string, ...args: unknown[]): Promise<Answer> {
    return this.sendRequest(ExecuteCommandRequest.type, { command, arguments: args });
  }

  /** The library would send what is the extension's own, too. */
  private tellSettings(): Promise<void> {
    return this.sendNotification(DidChangeConfigurationNotification.type, {
      settings: { [SECTION]: readSettings().forServer },
    });
  }

  /** Ends the server. One that has not come up yet cannot be asked to: its process is ended. */
  async end(): Promise<void> {
    this.ended = true;
    if (!this.isRunning()) this.kill();
    await this.stop().catch(() => undefined);  // what is still there two seconds later the library kills
    await within(END_MS, this.starting).catch(() => undefined);
  }

  /** Its input is closed as well: what is named as the server may be a script that has started it. */
  private kill(): void {
    this.serverProcess?.stdin?.end();
    this.serverProcess?.kill();
  }

  protected override async createMessageTransports(encoding: string): Promise<MessageTransports> {
    const transports = await super.createMessageTransports(encoding);
    if (this.ended) this.kill();  // there was no process yet when it was to end
    return transports;
  }

  /** To the log alone: the library would open a message for each failed request, with a stack. */
  override error(message: string, data?: unknown): void {
    super.error(message, data, false);
  }

  /** The server has gone without being asked to. The library would start it again, and say nothing if it cannot. */
  private async closed(): Promise<CloseHandlerResult> {
    if (!this.ended && this.hasRun) {  // else it has been ended, or comeUp() says that it did not start
      this.comesAgain = (await this.crashes.closed()).action === CloseAction.Restart;
      if (!this.comesAgain) this.listener.failed('The server stopped five times in three minutes.');
    }
    return { action: CloseAction.DoNotRestart, handled: true };
  }

  protected override async handleConnectionClosed(): Promise<void> {
    await super.handleConnectionClosed();
    if (!this.comesAgain) return;
    this.comesAgain = false;
    await this.run();
  }
}
