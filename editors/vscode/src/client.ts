// The language client: start, restart and stop the server, and send it the settings.
import { homedir } from 'node:os';
import { createInterface } from 'node:readline';
import type { LogOutputChannel } from 'vscode';
import {
  CloseAction, type CloseHandlerResult, DidChangeConfigurationNotification, ErrorAction, ExecuteCommandRequest,
  type DocumentFilter, LanguageClient, type MessageTransports,
} from 'vscode-languageclient/node';
import { withTypedBrackets } from './brackets';
import type { Command } from './command';
import { withMoreLines } from './multiline';
import { namedLanguages, readSettings, type Settings } from './settings';
import { within } from './time';
import type { TrainingStatus } from './training';

/** The server's state, sent as `tinycopilot/status`. */
export interface ServerStatus {
  state: 'loading' | 'ready' | 'busy' | 'off' | 'error';
  message?: string;
}

export interface Listener {
  /** Called when the server's state changes. The server shows errors to the user itself. */
  status(status: ServerStatus): void;
  training(status: TrainingStatus): void;
  /** Called if the server does not start, or is no longer restarted after crashes. The message is for the user. */
  failed(message: string): void;
}

const SECTION = 'tinycopilot';
/** Time limit for stopping a server that is still starting. */
const END_MS = 5_000;

/** Documents on disk, and new ones without a file. */
export const SCHEMES = ['file', 'untitled'];
/** Cells of notebooks. */
export const CELL_SCHEME = 'vscode-notebook-cell';

/** Documents in these languages, and cells of notebooks. */
function selector(languages: (string | undefined)[] = [undefined]): DocumentFilter[] {
  return SCHEMES.flatMap(scheme => languages.flatMap(language => [
    language ? { scheme, language } : { scheme },
    { notebook: { notebookType: '*', scheme }, ...language && { language } },
  ]));
}

/** The server, restarted after a crash. Changed settings are sent to it; some require a new Client (settings.ts). */
export class Client extends LanguageClient {
  private readonly crashes = this.createDefaultErrorHandler();  // at most four restarts in three minutes
  private starting = Promise.resolve();
  private hasRun = false;
  private willRestart = false;
  private ended = false;

  constructor(command: Command, settings: Settings, log: LogOutputChannel, private readonly listener: Listener) {
    // Not in the workspace: `python -m` imports from its working directory first.
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
        // Cancellable work (training) has its own progress with a cancel button (training.ts); the library's has none.
        handleWorkDoneProgress: (token, params, next) => {
          if (params.kind !== 'begin' || !params.cancellable) next(token, params);
        },
        provideInlineCompletionItems: async (document, position, context, token, next) =>
          withTypedBrackets(withMoreLines(await next(document, position, context, token), document, position, token)),
        workspace: {
          configuration: ({ items }) => items.map(item => item.section === SECTION ? readSettings().forServer : null),
          didChangeConfiguration: () => this.sendSettings(),
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

  /** Starts the server. If it does not start, `listener.failed` is called. */
  run(): Promise<void> {
    return this.starting = this.launch();
  }

  private async launch(): Promise<void> {
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

  /** Runs one of the server's commands. */
  ask<Answer>(command: string, ...args: unknown[]): Promise<Answer> {
    return this.sendRequest(ExecuteCommandRequest.type, { command, arguments: args });
  }

  /** Sends the server's settings; the library would include the extension's own. */
  private sendSettings(): Promise<void> {
    return this.sendNotification(DidChangeConfigurationNotification.type, {
      settings: { [SECTION]: readSettings().forServer },
    });
  }

  /** Stops the server; if it has not started yet, kills its process. */
  async end(): Promise<void> {
    this.ended = true;
    if (!this.isRunning()) this.kill();
    await this.stop().catch(() => undefined);  // the library kills it after two seconds
    await within(END_MS, this.starting).catch(() => undefined);
  }

  /** Kills the process, and closes its stdin, since the process may be a script that has started the server. */
  private kill(): void {
    this.serverProcess?.stdin?.end();
    this.serverProcess?.kill();
  }

  protected override async createMessageTransports(encoding: string): Promise<MessageTransports> {
    const transports = await super.createMessageTransports(encoding);
    if (this.ended) this.kill();  // there was no process yet when `end` was called
    return transports;
  }

  /** Only logs errors: the library would show a message with a stack trace for each failed request. */
  override error(message: string, data?: unknown): void {
    super.error(message, data, false);
  }

  /** The server exited unexpectedly. The library would restart it, and not report a failure to do so. */
  private async closed(): Promise<CloseHandlerResult> {
    if (!this.ended && this.hasRun) {  // otherwise `end` was called, or launch() reports that the server did not start
      this.willRestart = (await this.crashes.closed()).action === CloseAction.Restart;
      if (!this.willRestart) this.listener.failed('The server stopped five times in three minutes.');
    }
    return { action: CloseAction.DoNotRestart, handled: true };
  }

  protected override async handleConnectionClosed(): Promise<void> {
    await super.handleConnectionClosed();
    if (!this.willRestart) return;
    this.willRestart = false;
    await this.run();
  }
}
