import type { Memento } from 'vscode';
import type { ServerStatus } from './client';

/** What is kept of a pause for the window that is opened next: when it ends by itself, if it does. */
interface Kept {
  untilMs?: number;
}

const KEY = 'pause';

/** Whether the user wants no suggestions for now, and until when. A server that starts again does not know; it is told. */
export class Pause {
  /** When it ends by itself. */
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
    if (untilMs) this.until = new Date(untilMs);  // the server says that it is off before it has answered
    await this.ask('tinycopilot.pause');
    this.set(untilMs);
    void this.memento.update(KEY, { untilMs });
  }

  /** Pauses for some minutes more: a pause that ends by itself ends later. */
  async snooze(minutes: number): Promise<void> {
    const left = this.until ? Math.max(0, this.until.getTime() - Date.now()) / 60_000 : 0;
    await this.begin(left + minutes);
  }

  async end(): Promise<void> {
    this.forget();
    await this.ask('tinycopilot.resume');
  }

  /** The server has said how it is. */
  async heard({ state }: ServerStatus): Promise<void> {
    if (state === 'loading') {
      this.isNew = true;
    } else if (this.isOn && (state === 'ready' || state === 'busy')) {
      if (!this.isNew) return this.forget();  // somebody else has ended it
      await this.ask('tinycopilot.pause');
      this.isNew = false;
    } else {
      this.isNew = false;
    }
  }

  /** No clock runs any more; what is kept stays. */
  dispose(): void {
    clearTimeout(this.timer);
  }

  private set(untilMs: number | undefined): void {
    this.isOn = true;
    if (!untilMs) return;
    this.until = new Date(untilMs);
    // Where no server runs then, none needs to be told: the next one knows of no pause.
    this.timer = setTimeout(() => void this.end().catch(() => undefined), untilMs - Date.now());
  }

  private forget(): void {
    clearTimeout(this.timer);
    this.isOn = false;
    this.until = this.timer = undefined;
    void this.memento.update(KEY, undefined);
  }
}
