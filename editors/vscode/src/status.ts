import { type Disposable, StatusBarAlignment, ThemeColor, window } from 'vscode';
import type { ServerStatus } from './client';

const TEXT = {
  loading: '$(loading~spin) tinycopilot',
  ready: 'tinycopilot: ready',
  busy: '$(loading~spin) tinycopilot',
  off: 'tinycopilot: off',
  error: 'tinycopilot: error',
};

/** The item in the status bar; a click on it shows the log. */
export class StatusItem implements Disposable {
  private readonly item = window.createStatusBarItem('tinycopilot.status', StatusBarAlignment.Right, 100);

  constructor() {
    this.item.name = 'tinycopilot';
    this.item.command = 'tinycopilot.showLog';
  }

  show({ state, message }: ServerStatus): void {
    this.item.text = TEXT[state];
    this.item.tooltip = message || 'Show the log';
    this.item.backgroundColor = state === 'error' ? new ThemeColor('statusBarItem.errorBackground') : undefined;
    this.item.show();
  }

  hide(): void {
    this.item.hide();
  }

  dispose(): void {
    this.item.dispose();
  }
}
