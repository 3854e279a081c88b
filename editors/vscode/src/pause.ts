import type { ServerStatus } from './client';

/** Whether the user wants no suggestions for now, and until when. A server that starts again does not know; it is told. */
export class Pause {
  /** When it ends by itself. */
  until: Date | undefined;
  private isOn = false;
  private isNew = false;
  private timer: NodeJS.Timeout | undefined;

  constructor(private readonly ask: (command: string) => Promise<unknown>) {}

  async begin(minutes?: number): Promise<void> {
    this.forget();
    if (minutes) this.until = new Date(Date.now() + minutes * 60_000);
    await this.ask('tinycopilot.pause');
    this.isOn = true;
    if (minutes) this.timer = setTimeout(() => void this.end(), minutes * 60_000);
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

  /** No clock runs any more. */
  forget(): void {
    clearTimeout(this.timer);
    this.isOn = false;
    this.until = this.timer = undefined;
  }
}
