// Pauses and snoozes suggestions, and remembers this for the next window.
import type { Memento } from 'vscode';
import type { ServerStatus } from './client';

/** A pause as saved for the next window, with the time when it ends, if it ends by itself. */
interface Kept {
  untilMs?: number;
}

const KEY = 'pause';

/** Whether and until when the user has paused suggestions. A restarted server is paused again. */
export class Pause {
  /** When the pause ends, if it ends by itself. */
  until: Date | undefined;
  private isOn = false;
  private isNew = false;
  private timer: NodeJS.Timeout | undefined;

  constructor(private readonly ask: (command: string) => Promise<unknown>, private readonly memento: Memento) {
    const kept = memento.get<Kept>(KEY);
    if (kept && !(kept.untilMs && kept.untilMs <= Date.now())) this.set(kept.untilMs);
  }

  async begin(minutes?: number): Promise<void> {
    this.forget();
    const untilMs = minutes && Date.now() + minutes * 60_000;
    if (untilMs) this.until = new Date(untilMs);  // the server's status arrives before its response
    await this.ask('tinycopilot.pause');
    this.set(untilMs);
    void this.memento.update(KEY, { untilMs });
  }

  /** Pauses for some minutes; extends a pause that ends by itself. */
  async snooze(minutes: number): Promise<void> {
    const left = this.until ? Math.max(0, this.until.getTime() - Date.now()) / 60_000 : 0;
    await this.begin(left + minutes);
  }

  async end(): Promise<void> {
    this.forget();
    await this.ask('tinycopilot.resume');
  }

  /** Follows the server's status. */
  async onStatus({ state }: ServerStatus): Promise<void> {
    if (state === 'loading') {
      this.isNew = true;
    } else if (this.isOn && (state === 'ready' || state === 'busy')) {
      if (!this.isNew) return this.forget();  // the pause was ended elsewhere
      await this.ask('tinycopilot.pause');
      this.isNew = false;
    } else {
      this.isNew = false;
    }
  }

  /** Stops the timer; the saved pause stays. */
  dispose(): void {
    clearTimeout(this.timer);
  }

  private set(untilMs: number | undefined): void {
    this.isOn = true;
    if (!untilMs) return;
    this.until = new Date(untilMs);
    // Fails if no server is running. That is no problem: the next server starts without a pause.
    this.timer = setTimeout(() => void this.end().catch(() => undefined), untilMs - Date.now());
  }

  private forget(): void {
    clearTimeout(this.timer);
    this.isOn = false;
    this.until = this.timer = undefined;
    void this.memento.update(KEY, undefined);
  }
}
