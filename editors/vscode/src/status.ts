// The status bar item: its text and tooltip for each state of the server.
import { commands, type Disposable, StatusBarAlignment, ThemeColor, window } from 'vscode';
import type { ServerStatus } from './client';

const TEXT = {
  loading: '$(loading~spin) tinycopilot',
  ready: 'tinycopilot: ready',
  busy: '$(loading~spin) tinycopilot: busy',
  off: 'tinycopilot: off',
  error: 'tinycopilot: error',
};

interface Details {
  /** Whether suggestions are shown only on demand. */
  isOnDemand: boolean;
  /** The active editor's language, or "this file", if suggestions are off there. */
  offIn: string | undefined;
  /** Why a single file gets no suggestions. */
  reason: string | undefined;
  /** When a pause ends, as text. */
  until: string | undefined;
}

/** The status bar item; a click opens the menu. `when` clauses in package.json use its state as `tinycopilot.state`. */
export class StatusItem implements Disposable {
  private readonly item = window.createStatusBarItem('tinycopilot.status', StatusBarAlignment.Right, 100);

  constructor() {
    this.item.name = 'tinycopilot';
    this.item.command = 'tinycopilot.menu';
  }

  show({ state, message }: ServerStatus, { isOnDemand, offIn, reason, until }: Details): void {
    const waits = state === 'ready' && isOnDemand;
    const text = until ? `tinycopilot: off until ${until}` : TEXT[state];
    this.item.text = offIn ? `tinycopilot: off in ${offIn}` : waits ? 'tinycopilot: on demand' : text;
    if (offIn) message = reason ? `off in ${offIn}: ${reason}` : `off in ${offIn}`;
    else if (waits) message = 'press Alt+\\ for a suggestion';
    this.item.tooltip = `tinycopilot: ${(message || state).replace(/\.$/, '')}. Click for the menu.`;
    // Otherwise a screen reader would read the state twice, in the text and in the tooltip.
    const label = offIn ? message : message ? `${state}: ${message}` : state;
    this.item.accessibilityInformation = { label: `tinycopilot: ${label}`, role: 'button' };
    this.item.backgroundColor = state === 'error' ? new ThemeColor('statusBarItem.errorBackground') : undefined;
    this.item.show();
    void commands.executeCommand('setContext', 'tinycopilot.state', state);
  }

  hide(): void {
    this.item.hide();
    void commands.executeCommand('setContext', 'tinycopilot.state', undefined);
  }

  dispose(): void {
    this.item.dispose();
  }
}
