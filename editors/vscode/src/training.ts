import { ProgressLocation, window } from 'vscode';

/** What the server sends as `tinycopilot/training`; when it is done, with figures. */
export interface TrainingStatus {
  state: 'running' | 'done' | 'failed' | 'cancelled';
  message: string;
  percentage?: number;
}

/** The bar of a training, with a button that stops it: the library would show the server's in the status bar, without one. */
export class TrainingBar {
  /** What the last one came to, with the figures before and after. */
  last: string | undefined;
  isRunning = false;
  private show: (message: string, percentage: number) => void = () => undefined;
  private over: () => void = () => undefined;

  constructor(private readonly cancel: () => void) {}

  heard({ state, message, percentage = 0 }: TrainingStatus): void {
    if (state !== 'running') {
      this.last = message;
      return this.end();
    }
    if (!this.isRunning) this.begin();
    this.show(message, percentage);
  }

  /** It goes on no longer, or nobody knows: the server has gone. */
  end(): void {
    this.isRunning = false;
    this.over();
  }

  private begin(): void {
    const options = { location: ProgressLocation.Notification, title: 'tinycopilot: training on this workspace', cancellable: true };
    let said = { message: '', percentage: 0 };  // what comes before there is a bar to show it
    this.isRunning = true;
    this.show = (message, percentage) => { said = { message, percentage }; };
    const ended = new Promise<void>(resolve => { this.over = resolve; });
    void window.withProgress(options, (progress, token) => {
      let shown = 0;
      this.show = (message, percentage) => {
        progress.report({ message, increment: percentage - shown });
        shown = percentage;
      };
      this.show(said.message, said.percentage);
      token.onCancellationRequested(this.cancel);
      return ended;
    });
  }
}
