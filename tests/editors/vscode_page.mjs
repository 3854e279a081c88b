// Drives VS Code (code-server) in headless Chromium: presses keys, and reads the screen.
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, join, resolve } from 'node:path';

export async function startBrowser() {
  // playwright-core is in EDITORS_DIR, the folder of install_editors.sh; by default, the one that contains this Node.
  const editors = process.env.EDITORS_DIR ?? resolve(dirname(process.execPath), '../../../..');
  const { chromium } = createRequire(`${editors}/playwright/`)('playwright-core');
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--disable-sync', '--disable-component-update', '--disable-background-networking'],
  });
}

/** Opens VS Code on `port`, with `file` in the editor. The workspace is `folder`, by default the file's. */
export async function openPage(browser, port, file, { folder = dirname(file), ...options } = {}) {
  const page = await browser.newPage({ viewport: { width: 1000, height: 560 }, ...options });
  page.setDefaultNavigationTimeout(300_000);
  await page.route(url => url.hostname !== '127.0.0.1', route => route.abort());  // no requests to other machines
  const open = JSON.stringify([['openFile', `vscode-remote://127.0.0.1:${port}${file}`]]);
  await page.goto(`http://127.0.0.1:${port}/?folder=${encodeURIComponent(folder)}&payload=${encodeURIComponent(open)}`);
  return new Editor(page, file);
}

/** Throws unless both are equal. */
export function assertEqual(what, actual, expected) {
  if (actual !== expected) throw new Error(`${what}: got ${JSON.stringify(actual)}, expected ${JSON.stringify(expected)}`);
}

class Editor {
  constructor(page, file) {
    Object.assign(this, { page, file });
    this.item = page.locator('.statusbar-item[id*="tinycopilot"]');
  }

  /** Waits for the editor and the status "ready", and moves the cursor to the end of the file. */
  async waitUntilReady() {
    await this.page.waitForSelector('.editor-instance .view-line', { timeout: 300_000 });
    await this.waitForStatus('ready');
    this.welcome = await this.waitForMessage('completes code as you type', 3).catch(() => '');
    if (this.welcome) await this.command('Notifications: Clear All Notifications');
    await this.page.keyboard.press('Control+b');  // hide the side bar
    await this.page.click('.editor-instance .view-lines');
    await this.page.keyboard.press('Control+End');
  }

  /** Closes the window so that its server exits; otherwise it would run for hours. */
  async close() {
    await this.page.goto('about:blank');
    await this.page.close();
  }

  /** Writes a file with the text `marked` and opens it, the cursor at the `¦` (which is removed), or else at its end. */
  async open(name, marked) {
    const before = marked.split('¦')[0].split(/\r?\n/);
    this.file = join(dirname(this.file), name);
    writeFileSync(this.file, marked.replace('¦', ''));
    await this.pick(`${this.file}:${before.length}:${before.at(-1).length + 1}`, name);
    await this.waitFor(`${name} in the editor`, 10, async () =>
      (await this.page.locator('.tab.active').allTextContents()).some(label => label.includes(basename(name))));
    await this.waitFor(`the cursor in ${name}`, 10, () => this.page.evaluate(() => document.activeElement?.closest('.monaco-editor')));
    // The tab appears before the text of a long file; until the text appears, keys go to the previous file.
    const position = this.page.locator('[id="status.editor.selection"]');
    await this.waitFor(`the cursor on line ${before.length}`, 30, async () =>
      await position.count() > 0 && (await position.first().textContent()).startsWith(`Ln ${before.length},`));
  }

  /** Calls `poll` until its result is truthy, and returns it. Throws an error with `what` after `seconds`. */
  async waitFor(what, seconds, poll) {
    for (const end = Date.now() + seconds * 1000; Date.now() < end; await this.page.waitForTimeout(50)) {
      const result = await poll();
      if (result) return result;
    }
    throw new Error(`timed out after ${seconds} s: ${what}`);
  }

  /** Waits until the status bar contains `wanted`; throws at once, with the reason, if it shows an error. */
  async waitForStatus(wanted) {
    const shown = await this.waitFor(`the status "${wanted}"`, 60, async () => {
      const text = await this.item.count() > 0 ? await this.item.first().textContent() : '';
      return (text.includes(wanted) || text.includes('error')) && text;
    });
    if (shown.includes(wanted)) return;
    throw new Error(`unexpected status: ${await this.item.first().locator('[aria-label]').first().getAttribute('aria-label')}`);
  }

  /** Runs an action, and waits until the status bar has shown exactly these texts, in order. */
  async waitForStatuses(statuses, action) {
    await this.page.evaluate(() => {
      window.watcher?.disconnect();
      window.statuses = [];
      const record = () => {
        const text = document.querySelector('.statusbar-item[id*="tinycopilot"]')?.textContent.trim();
        if (text !== window.statuses.at(-1)) window.statuses.push(text);
      };
      window.watcher = new MutationObserver(record);
      window.watcher.observe(document.querySelector('.statusbar'), { subtree: true, childList: true, characterData: true });
    });
    await action();
    await this.waitFor(`the statuses ${statuses.join(', ')}`, 60, async () => {
      const shown = await this.page.evaluate(() => window.statuses);
      const start = shown.indexOf(statuses[0]);
      return start >= 0 && shown.slice(start).join() === statuses.join();
    });
  }

  /** Waits for a notification that contains `part`, and returns its text. */
  waitForMessage(part, seconds = 20) {
    return this.waitFor(`a message with "${part}"`, seconds, async () =>
      (await this.page.locator('.notification-list-item').allTextContents()).find(text => text.includes(part)));
  }

  /** The visible ghost text, also in a notebook cell. Its first line is in several spans, the other lines in a view zone. */
  ghostText() {
    return this.page.evaluate(() => {
      const editor = ':is(.editor-instance, .cell-editor-container)';
      const lines = [...document.querySelectorAll(`${editor} .view-lines > .view-line`)]
        .map(line => [...line.querySelectorAll('.ghost-text-decoration, .ghost-text')])
        .filter(spans => spans.length > 0)
        .map(spans => spans.map(span => span.textContent).join(''));
      const below = [...document.querySelectorAll(`${editor} .view-zones .suggest-preview-text .view-line`)]
        .map(line => line.textContent);
      return [...lines, ...below].join('\n').replaceAll('\u00a0', ' ');
    });
  }

  /** Waits for ghost text that stays the same for 500 ms (the editor sends a request at each key), and returns it. */
  async stableGhostText(seconds = 60) {
    let last = '';
    let since = Date.now();
    return this.waitFor('ghost text', seconds, async () => {
      const now = await this.ghostText();
      if (now !== last) [last, since] = [now, Date.now()];
      return Date.now() - since > 500 && now;
    });
  }

  /** Waits until there is no ghost text, and throws if any appears within a second. `why`: the reason to expect none. */
  async assertNoGhostText(why) {
    await this.waitFor(`no ghost text, since ${why}`, 5, async () => await this.ghostText() === '');
    for (let i = 0; i < 20; i++, await this.page.waitForTimeout(50)) {
      const ghost = await this.ghostText();
      if (ghost) throw new Error(`${why}, but ghost text appeared: ${JSON.stringify(ghost)}`);
    }
  }

  /** The visible lines of the editor. */
  async visibleText() {
    const rows = await this.page.locator('.editor-instance .view-line').allTextContents();
    return rows.join('\n').replaceAll('\u00a0', ' ');
  }

  /** The editor's text, saved and read from disk, since the screen shows only a part. */
  async savedText() {
    const isDirty = async () => await this.page.locator('.tab.active.dirty').count() > 0;
    let n = 0;
    await this.waitFor('saving', 10, async () => {
      if (!await isDirty()) return true;  // saving an unchanged file would write it while it is read
      if (n++ % 20 === 0) await this.press('Control+s');  // repeated, in case the extension edits after the save
      return false;
    });
    return readFileSync(this.file, 'utf8');
  }

  /** Waits until the text differs from the saved text. */
  waitForChange(what) {
    return this.waitFor(what, 5, async () => await this.page.locator('.tab.active.dirty').count() === 1);
  }

  /** Runs a command from the command palette. */
  command(title) {
    return this.pick(`>${title}`, title);
  }

  /** Types `query` into the command palette, and chooses the first entry once it contains `label`. */
  async pick(query, label) {
    await this.page.keyboard.press('F1');
    const input = this.page.locator('.quick-input-widget input[type=text]').first();
    await input.fill(query);
    const row = this.page.locator('.quick-input-list .monaco-list-row.focused');
    await this.waitFor(`"${label}" in the palette`, 10, async () =>
      await row.count() > 0 && (await row.first().textContent()).includes(label));
    await this.page.keyboard.press('Enter');
    await this.waitFor('the palette closed', 10, async () => !(await this.page.locator('.quick-input-widget').isVisible()));
  }

  press(key) {
    return this.page.keyboard.press(key);
  }

  type(text) {
    return this.page.keyboard.type(text, { delay: 30 });
  }
}
