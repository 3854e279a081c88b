// The progress of training, as a notification with a cancel button.
import { ProgressLocation, window } from 'vscode';

/** The parameters of `tinycopilot/training`. When training is done, the server also sends figures, which are only logged. */
export interface TrainingStatus {
  state: 'running' | 'done' | 'failed' | 'cancelled';
  message: string;
  percentage?: number;
}

/** Progress of training with a cancel button, which the library's progress in the status bar lacks. */
export class TrainingBar {
  /** The last result, with the figures before and after. */
  last: string | undefined;
  isRunning = false;
  private show: (message: string, percentage: number) => void = () => undefined;
  private finish: () => void = () => undefined;

  constructor(private readonly cancel: () => void) {}

  onStatus({ state, message, percentage = 0 }: TrainingStatus): void {
    if (state !== 'running') {
      this.last = message;
      return this.end();
    }
    if (!this.isRunning) this.begin();
    this.show(message, percentage);
  }

  /** Removes the progress when training has ended or the server has exited. */
  end(): void {
    this.isRunning = false;
    this.finish();
  }

  private begin(): void {
    const options = { location: ProgressLocation.Notification, title: 'tinycopilot: training on this workspace', cancellable: true };
    let pending = { message: '', percentage: 0 };  // the last report received before the progress is visible
    this.isRunning = true;
    this.show = (message, percentage) => { pending = { message, percentage }; };
    const ended = new Promise<void>(resolve => { this.finish = resolve; });
    void window.withProgress(options, (progress, token) => {
      let shown = 0;
      this.show = (message, percentage) => {
        progress.report({ message, increment: percentage - shown });
        shown = percentage;
      };
      this.show(pending.message, pending.percentage);
      token.onCancellationRequested(this.cancel);
      return ended;
    });
  }
}
