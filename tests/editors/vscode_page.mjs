// Drives real VS Code (code-server) in headless Chromium: what a test does with the editor, and reads from its screen.
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, join, resolve } from 'node:path';

export async function startBrowser() {
  // playwright-core lies in the folder that install_editors.sh made; unless told, it is where the Node that runs this lies.
  const editors = process.env.EDITORS_DIR ?? resolve(dirname(process.execPath), '../../../..');
  const { chromium } = createRequire(`${editors}/playwright/`)('playwright-core');
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--disable-sync', '--disable-component-update', '--disable-background-networking'],
  });
}

/** Opens VS Code, which listens on `port`, with `file` in the editor and its folder, or another, as the workspace. */
export async function openPage(browser, port, file, { folder = dirname(file), ...options } = {}) {
  const page = await browser.newPage({ viewport: { width: 1000, height: 560 }, ...options });
  await page.route(url => url.hostname !== '127.0.0.1', route => route.abort());  // nothing leaves the machine
  const open = JSON.stringify([['openFile', `vscode-remote://127.0.0.1:${port}${file}`]]);
  await page.goto(`http://127.0.0.1:${port}/?folder=${encodeURIComponent(folder)}&payload=${encodeURIComponent(open)}`);
  return new Editor(page, file);
}

/** Fails unless it is what is wanted. */
export function same(what, is, wanted) {
  if (is !== wanted) throw new Error(`${what}: ${JSON.stringify(is)}, not ${JSON.stringify(wanted)}`);
}

class Editor {
  constructor(page, file) {
    Object.assign(this, { page, file });
    this.item = page.locator('.statusbar-item[id*="tinycopilot"]');
  }

  /** Waits for the editor, and for the status bar to say ready; the cursor is then at the file's end. */
  async begin() {
    await this.page.waitForSelector('.editor-instance .view-line', { timeout: 60_000 });
    await this.state('ready');
    await this.page.keyboard.press('Control+b');  // the side bar, away
    await this.page.click('.editor-instance .view-lines');
    await this.page.keyboard.press('Control+End');
  }

  /** Ends the window. VS Code says goodbye first; a window that just vanishes keeps its server for hours. */
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
    // The tab comes first, and the text, if it is long, later: until then keys go to the file before.
    const place = this.page.locator('[id="status.editor.selection"]');
    await this.until(`the cursor on line ${before.length}`, 30, async () =>
      await place.count() > 0 && (await place.first().textContent()).startsWith(`Ln ${before.length},`));
  }

  /** Asks until the answer is truthy, for at most `seconds`. */
  async until(what, seconds, ask) {
    for (const end = Date.now() + seconds * 1000; Date.now() < end; await this.page.waitForTimeout(50)) {
      const answer = await ask();
      if (answer) return answer;
    }
    throw new Error(`${what}: not within ${seconds} s`);
  }

  /** Waits for the status bar to say so; gives up at once, with its reason, if it says error. */
  async state(wanted) {
    const said = await this.until(`the status bar saying ${wanted}`, 60, async () => {
      const text = await this.item.count() > 0 ? await this.item.first().textContent() : '';
      return (text.includes(wanted) || text.includes('error')) && text;
    });
    if (said.includes(wanted)) return;
    throw new Error(`the status bar says: ${await this.item.first().locator('[aria-label]').first().getAttribute('aria-label')}`);
  }

  /** Does it, and waits until the status bar has said these, one after the other, since. */
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

  /** Waits for a message with this in it, and returns all that it says. */
  message(part, seconds = 20) {
    return this.until(`a message with "${part}"`, seconds, async () =>
      (await this.page.locator('.notification-list-item').allTextContents()).find(text => text.includes(part)));
  }

  /** The ghost text on the screen. It is coloured, so it stands in many spans; its second line and on stand in a view zone. */
  ghostText() {
    return this.page.evaluate(() => {
      const lines = [...document.querySelectorAll('.editor-instance .view-lines > .view-line')]
        .map(line => [...line.querySelectorAll('.ghost-text-decoration, .ghost-text')])
        .filter(spans => spans.length > 0)
        .map(spans => spans.map(span => span.textContent).join(''));
      const below = [...document.querySelectorAll('.editor-instance .view-zones .suggest-preview-text .view-line')]
        .map(line => line.textContent);
      return [...lines, ...below].join('\n').replaceAll('\u00a0', ' ');
    });
  }

  /** The ghost text once it has stayed the same for a while: the editor asks at every key. */
  async settledGhostText(seconds = 60) {
    let last = '';
    let since = Date.now();
    return this.until('ghost text', seconds, async () => {
      const now = await this.ghostText();
      if (now !== last) [last, since] = [now, Date.now()];
      return Date.now() - since > 500 && now;
    });
  }

  /** Waits until there is none, and fails if there is any in the second after. Of a server that answers later it would not know. */
  async noGhostText(why) {
    await this.until(`${why}: an end of the ghost text`, 5, async () => await this.ghostText() === '');
    for (let i = 0; i < 20; i++, await this.page.waitForTimeout(50)) {
      const ghost = await this.ghostText();
      if (ghost) throw new Error(`${why}, but there is ghost text: ${JSON.stringify(ghost)}`);
    }
  }

  /** The lines of the editor that are on the screen. */
  async shownText() {
    const rows = await this.page.locator('.editor-instance .view-line').allTextContents();
    return rows.join('\n').replaceAll('\u00a0', ' ');
  }

  /** What the editor holds, by way of the disk: the screen shows only what fits. */
  async savedText() {
    const isDirty = async () => await this.page.locator('.tab.active.dirty').count() > 0;
    if (await isDirty()) await this.press('Control+s');  // what is saved already would be written again while it is read
    await this.until('saving', 10, async () => !await isDirty());
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

  /** Takes from the palette what is found for `wanted` once that has `label` in it. */
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
