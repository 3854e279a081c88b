// Drives real VS Code (code-server) in headless Chromium: key presses, and reading the screen.
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, join, resolve } from 'node:path';

export async function startBrowser() {
  // playwright-core is in the folder of install_editors.sh; by default, next to the Node that runs this.
  const editors = process.env.EDITORS_DIR ?? resolve(dirname(process.execPath), '../../../..');
  const { chromium } = createRequire(`${editors}/playwright/`)('playwright-core');
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--disable-sync', '--disable-component-update', '--disable-background-networking'],
  });
}

/** Opens VS Code on `port`, with `file` in the editor, and its folder or another one as the workspace. */
export async function openPage(browser, port, file, { folder = dirname(file), ...options } = {}) {
  const page = await browser.newPage({ viewport: { width: 1000, height: 560 }, ...options });
  page.setDefaultNavigationTimeout(300_000);
  await page.route(url => url.hostname !== '127.0.0.1', route => route.abort());  // nothing leaves the machine
  const open = JSON.stringify([['openFile', `vscode-remote://127.0.0.1:${port}${file}`]]);
  await page.goto(`http://127.0.0.1:${port}/?folder=${encodeURIComponent(folder)}&payload=${encodeURIComponent(open)}`);
  return new Editor(page, file);
}

/** Fails unless both are equal. */
export function same(what, is, wanted) {
  if (is !== wanted) throw new Error(`${what}: ${JSON.stringify(is)}, not ${JSON.stringify(wanted)}`);
}

class Editor {
  constructor(page, file) {
    Object.assign(this, { page, file });
    this.item = page.locator('.statusbar-item[id*="tinycopilot"]');
  }

  /** Waits for the editor and the status "ready"; the cursor is then at the end of the file. */
  async begin() {
    await this.page.waitForSelector('.editor-instance .view-line', { timeout: 300_000 });
    await this.state('ready');
    this.welcome = await this.message('completes code as you type', 3).catch(() => '');
    if (this.welcome) await this.command('Notifications: Clear All Notifications');
    await this.page.keyboard.press('Control+b');  // hide the side bar
    await this.page.click('.editor-instance .view-lines');
    await this.page.keyboard.press('Control+End');
  }

  /** Closes the window properly; otherwise its server would run for hours. */
  async close() {
    await this.page.goto('about:blank');
    await this.page.close();
  }

  /** Writes a file into the workspace and opens it, the cursor at the `¦` in `marked`, or else at its end. */
  async open(name, marked) {
    const before = marked.split('¦')[0].split(/\r?\n/);
    this.file = join(dirname(this.file), name);
    writeFileSync(this.file, marked.replace('¦', ''));
    await this.pick(`${this.file}:${before.length}:${before.at(-1).length + 1}`, name);
    await this.until(`${name} in the editor`, 10, async () =>
      (await this.page.locator('.tab.active').allTextContents()).some(label => label.includes(basename(name))));
    await this.until(`the cursor in ${name}`, 10, () => this.page.evaluate(() => document.activeElement?.closest('.monaco-editor')));
    // The tab appears before the text of a long file: until then keys go to the previous file.
    const place = this.page.locator('[id="status.editor.selection"]');
    await this.until(`the cursor on line ${before.length}`, 30, async () =>
      await place.count() > 0 && (await place.first().textContent()).startsWith(`Ln ${before.length},`));
  }

  /** Polls until the result is truthy, at most `seconds`. */
  async until(what, seconds, ask) {
    for (const end = Date.now() + seconds * 1000; Date.now() < end; await this.page.waitForTimeout(50)) {
      const answer = await ask();
      if (answer) return answer;
    }
    throw new Error(`${what}: not within ${seconds} s`);
  }

  /** Waits for a status; fails at once, with the reason, if the status is an error. */
  async state(wanted) {
    const said = await this.until(`the status bar saying ${wanted}`, 60, async () => {
      const text = await this.item.count() > 0 ? await this.item.first().textContent() : '';
      return (text.includes(wanted) || text.includes('error')) && text;
    });
    if (said.includes(wanted)) return;
    throw new Error(`the status bar says: ${await this.item.first().locator('[aria-label]').first().getAttribute('aria-label')}`);
  }

  /** Runs an action, and waits for these statuses, in order. */
  async saying(words, act) {
    await this.page.evaluate(() => {
      window.watcher?.disconnect();
      window.said = [];
      const look = () => {
        const text = document.querySelector('.statusbar-item[id*="tinycopilot"]')?.textContent.trim();
        if (text !== window.said.at(-1)) window.said.push(text);
      };
      window.watcher = new MutationObserver(look);
      window.watcher.observe(document.querySelector('.statusbar'), { subtree: true, childList: true, characterData: true });
    });
    await act();
    await this.until(`the status bar saying ${words.join(', ')}`, 60, async () => {
      const said = await this.page.evaluate(() => window.said);
      const at = said.indexOf(words[0]);
      return at >= 0 && said.slice(at).join() === words.join();
    });
  }

  /** Waits for a message that contains this text, and returns all of it. */
  message(part, seconds = 20) {
    return this.until(`a message with "${part}"`, seconds, async () =>
      (await this.page.locator('.notification-list-item').allTextContents()).find(text => text.includes(part)));
  }

  /** The visible ghost text, also in a cell of a notebook. It is in many coloured spans; further lines are in a view zone. */
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

  /** The ghost text once it is stable: the editor sends a request at each key. */
  async settledGhostText(seconds = 60) {
    let last = '';
    let since = Date.now();
    return this.until('ghost text', seconds, async () => {
      const now = await this.ghostText();
      if (now !== last) [last, since] = [now, Date.now()];
      return Date.now() - since > 500 && now;
    });
  }

  /** Waits until there is no ghost text, and fails if any appears within a second. */
  async noGhostText(why) {
    await this.until(`${why}: an end of the ghost text`, 5, async () => await this.ghostText() === '');
    for (let i = 0; i < 20; i++, await this.page.waitForTimeout(50)) {
      const ghost = await this.ghostText();
      if (ghost) throw new Error(`${why}, but there is ghost text: ${JSON.stringify(ghost)}`);
    }
  }

  /** The visible lines of the editor. */
  async shownText() {
    const rows = await this.page.locator('.editor-instance .view-line').allTextContents();
    return rows.join('\n').replaceAll('\u00a0', ' ');
  }

  /** The editor's text, read from disk: the screen shows only a part. */
  async savedText() {
    const isDirty = async () => await this.page.locator('.tab.active.dirty').count() > 0;
    let n = 0;
    await this.until('saving', 10, async () => {
      if (!await isDirty()) return true;  // an unchanged file would be written while it is read
      if (n++ % 20 === 0) await this.press('Control+s');  // again if an edit of the extension came after the save
      return false;
    });
    return readFileSync(this.file, 'utf8');
  }

  /** Waits until a key has changed the text since it was saved. */
  changed(what) {
    return this.until(what, 5, async () => await this.page.locator('.tab.active.dirty').count() === 1);
  }

  /** Runs a command of the palette. */
  command(title) {
    return this.pick(`>${title}`, title);
  }

  /** Selects the entry that the palette finds for `wanted`, once it contains `label`. */
  async pick(wanted, label) {
    await this.page.keyboard.press('F1');
    const input = this.page.locator('.quick-input-widget input[type=text]').first();
    await input.fill(wanted);
    const row = this.page.locator('.quick-input-list .monaco-list-row.focused');
    await this.until(`"${label}" in the palette`, 10, async () =>
      await row.count() > 0 && (await row.first().textContent()).includes(label));
    await this.page.keyboard.press('Enter');
    await this.until('the palette closed', 10, async () => !(await this.page.locator('.quick-input-widget').isVisible()));
  }

  press(key) {
    return this.page.keyboard.press(key);
  }

  type(text) {
    return this.page.keyboard.type(text, { delay: 30 });
  }
}
