// Pause and snooze suggestions; a pause stays in effect when a window is opened again.
import type { Memento } from 'vscode';
import type { ServerStatus } from './client';

/** A pause as saved for the next window; `untilMs` is set if it ends by itself. */
interface SavedPause {
  untilMs?: number;
}

const KEY = 'pause';
/** Interval of the checks whether a pause has ended. A timer for its whole length would stop while the computer sleeps. */
const CHECK_MS = 30_000;

/** Whether, and until when, the user has paused suggestions. A restarted server is paused again. */
export class Pause {
  /** When the pause ends, if it ends by itself. */
  until: Date | undefined;
  private isOn = false;
  private hasRestarted = false;
  private timer: NodeJS.Timeout | undefined;

  constructor(private readonly ask: (command: string) => Promise<unknown>, private readonly memento: Memento) {
    const saved = memento.get<SavedPause>(KEY);
    if (saved && !(saved.untilMs && saved.untilMs <= Date.now())) this.set(saved.untilMs);
  }

  async begin(minutes?: number): Promise<void> {
    this.clear();
    const untilMs = minutes && Date.now() + minutes * 60_000;
    if (untilMs) this.until = new Date(untilMs);  // the server's status arrives before its response
    await this.ask('tinycopilot.pause');
    this.set(untilMs);
    void this.memento.update(KEY, { untilMs });
  }

  /** Pauses for some minutes; extends a pause that ends by itself, and leaves one that does not. */
  async snooze(minutes: number): Promise<void> {
    if (this.isOn && !this.until) return;
    const left = this.until ? Math.max(0, this.until.getTime() - Date.now()) / 60_000 : 0;
    await this.begin(left + minutes);
  }

  async end(): Promise<void> {
    this.clear();
    await this.ask('tinycopilot.resume');
  }

  /** Called with each status of the server: pauses a restarted server again. */
  async onStatus({ state }: ServerStatus): Promise<void> {
    if (state === 'loading') {
      this.hasRestarted = true;
    } else if (this.isOn && (state === 'ready' || state === 'busy')) {
      if (!this.hasRestarted) return this.clear();  // the pause was ended elsewhere
      await this.ask('tinycopilot.pause');
      this.hasRestarted = false;
    } else if (state !== 'error') {  // a model that failed to load may be replaced
      this.hasRestarted = false;
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
    this.wait(untilMs);
  }

  /** Ends the pause at the time `untilMs`. */
  private wait(untilMs: number): void {
    const leftMs = untilMs - Date.now();
    // This fails if no server is running, which is harmless: the next server starts without a pause.
    if (leftMs <= 0) void this.end().catch(() => undefined);
    else this.timer = setTimeout(() => this.wait(untilMs), Math.min(leftMs, CHECK_MS));
  }

  private clear(): void {
    clearTimeout(this.timer);
    this.isOn = false;
    this.until = this.timer = undefined;
    void this.memento.update(KEY, undefined);
  }
}
