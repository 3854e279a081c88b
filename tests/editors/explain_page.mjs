// Opens the pages of `tinycopilot explain --html` and `tinycopilot train --watch` in headless Chromium, operates them with
// mouse and keyboard, and checks them with axe.
//
//   node explain_page.mjs TINYCOPILOT [SCREENSHOT.png]
//
// TINYCOPILOT is the program. playwright-core and axe-core are found as in vscode_page.mjs. SCREENSHOT.png is a picture of
// the explain page to write. (docs/explain.png is such a picture, reduced to 200 colors.)
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { assertAccessible } from './axe.mjs';
import { assertEqual, startBrowser } from './vscode_page.mjs';

const [program, screenshot] = process.argv.slice(2);
if (!program) throw new Error('usage: explain_page.mjs TINYCOPILOT [SCREENSHOT.png]');
const HOSTILE = '</script><script>document.title = "run"</script><!-- <img src=x onerror="document.title=1">\n{{ 7 * 7 }} \u0007';
const HOSTILE_COMPLETION = '</pre></script><script>document.title = "run"</script><!-- <img src=x onerror="document.title=1">{{ 7 * 7 }}\u2407';
const OTHER = 'import argparse\n\n\ndef parse():\n    parser = argparse.ArgumentParser()\n    parser.add_argument("--limit", type=int)\n    return parser.parse_args()\n';
const TEXT = 'import argparse\n\n\ndef main():\n    parser = argparse.ArgumentParser()\n    parser.add_arg';
const folder = mkdtempSync(join(tmpdir(), 'explain-'));

const run = promisify(execFile);

/** Writes the explain page for `text`, and returns its path. */
async function writePage(name, text) {
  const file = join(folder, name);
  const running = run(program, ['explain', '-', '--html', file, '--workspace', folder]);
  running.child.stdin.end(text);
  await running;
  return file;
}

async function open(browser, file, options = {}) {
  const page = await browser.newPage({ viewport: { width: 1100, height: 900 }, ...options });
  const problems = [];
  page.on('pageerror', error => problems.push(error.message));
  page.on('console', message => { if (message.type() === 'error') problems.push(message.text()); });
  page.on('dialog', dialog => { problems.push('a dialog'); dialog.dismiss(); });
  page.on('request', request => { if (request.url() !== pathToFileURL(file).href) problems.push(`loads ${request.url()}`); });
  // Make a page that reloads itself do so only when the test calls reloadNow.
  await page.addInitScript(() => { const real = window.setInterval; window.setInterval = (call, ms) => ms < 5000 ? real(call, ms) : (window.reloadNow = call, 0); });
  await page.goto(pathToFileURL(file).href);
  await page.waitForSelector('html[data-ready]', { timeout: 60_000 });
  return { page, problems };
}

const data = page => page.evaluate(() => JSON.parse(document.getElementById('data').textContent));
const slide = (page, id, value) => page.locator(id).evaluate((input, to) => { input.value = to; input.dispatchEvent(new Event('input')); }, value);
const fits = page => page.evaluate(() => document.documentElement.scrollWidth <= innerWidth);

async function testKeyboardAndControls(browser, file) {
  const { page, problems } = await open(browser, file);
  const pageData = await data(page), n = pageData.text.length, readout = page.locator('#readout');
  assertEqual('initial selection', (await readout.textContent()).startsWith(`“g”, character ${n} of ${n}.`), true);
  await page.locator('#text').focus();
  for (const [key, at] of [['ArrowLeft', n - 1], ['ArrowLeft', n - 2], ['ArrowRight', n - 1], ['Home', 1], ['ArrowLeft', 1], ['ArrowDown', 2], ['End', n], ['ArrowRight', n]]) {
    await page.keyboard.press(key);
    assertEqual(`the character after ${key}`, (await readout.textContent()).includes(`character ${at} of ${n}.`), true);
    assertEqual('aria-activedescendant', await page.locator('#text').getAttribute('aria-activedescendant'), `c${at - 1}`);
    assertEqual('selected options', await page.locator('#text [aria-selected=true]').count(), 1);
  }
  await page.keyboard.press('ArrowUp');
  assertEqual('the character above', (await readout.textContent()).startsWith('“a”'), true);
  await page.locator('#c30').click();
  const position = pageData.mixture.positions[30];
  const network = await page.locator('#mixture-body .columns').first().locator('.bars').first().locator('li').first().textContent();
  assertEqual('the network’s most likely character', network.startsWith(position.top[0][0][0]), true);
  const p = Number.parseFloat(await page.locator('#sampling-body .bars .figure').first().textContent());
  if (Math.abs(p - 100 * position.top[0][0][1]) > 0.2) throw new Error(`sampling at temperature 1: got ${p}, expected ${100 * position.top[0][0][1]}`);
  await slide(page, '#temperature', 0);
  assertEqual('temperature 0: only the most likely character', await page.locator('#sampling-body .bars .figure').first().textContent(), '100.0 %');
  await slide(page, '#temperature', 2);
  await slide(page, '#top-k', 3);
  assertEqual('top-k', (await page.locator('#sampling-body p').first().textContent()).includes(', 3 of '), true);
  await page.getByRole('button', { name: 'Draw' }).click();
  assertEqual('drawn characters', await page.locator('#sampling-body .chip').count(), 30);
  for (const [i, one] of pageData.decision.by_eagerness.entries()) {
    await slide(page, '#eagerness', i);
    assertEqual(`reason at eagerness ${one.eagerness}`, await page.locator('#decision-body .verdict').textContent(), one.why);
  }
  await page.getByLabel('without network').check();
  assertEqual('without the network', (await page.locator('#mixture-body .columns .orange .figure').first().textContent()).endsWith('%'), true);
  await page.locator('.heads label').first().click();
  assertEqual('the head', (await page.locator('#attention-body h3').first().textContent()).startsWith('Layer 1, head 1'), true);
  await page.locator('#text').focus();
  await page.keyboard.press('End');
  await page.locator('#attention-body td button, #attention-body th button').nth(2).click();
  assertEqual('selected key', await page.locator('#attention-body button[aria-pressed=true]').count(), 1);
  assertEqual('source of the match', (await page.locator('.seen').textContent()).includes('other.py:'), true);
  await assertAccessible(page, 'light');
  assertEqual('errors', problems.join('; '), '');
  await page.close();
}

async function testLayouts(browser, file) {
  for (const [what, options] of Object.entries({ dark: { colorScheme: 'dark' }, narrow: { viewport: { width: 320, height: 600 } } })) {
    const { page, problems } = await open(browser, file, options);
    assertEqual(`${what}: fits the width`, await fits(page), true);
    await assertAccessible(page, what);
    assertEqual(`${what}: errors`, problems.join('; '), '');
    await page.close();
  }
  const { page } = await open(browser, file, { viewport: { width: 720, height: 1000 } });
  await page.emulateMedia({ media: 'print' });
  assertEqual('print: fits the width', await fits(page), true);
  assertEqual('print: no sticky bar', await page.locator('.sticky').evaluate(bar => getComputedStyle(bar).position), 'static');
  await page.close();
}

async function testEscaping(browser, name, text) {
  const { page, problems } = await open(browser, await writePage(`${name}.html`, text));
  assertEqual('the title', (await page.title()).startsWith('How this suggestion'), true);
  assertEqual('scripts', await page.locator('script').count(), 2);
  assertEqual('images', await page.locator('img').count(), 0);
  assertEqual('the text', (await data(page)).text.join(''), `\n${text}`);
  assertEqual('options', await page.locator('#text [role=option]').count(), [...text].length + 1);
  assertEqual('errors', problems.join('; '), '');
  await page.close();
}

async function testWatchPage(browser, folder) {
  const running = join(folder, 'running.html'), { page, problems } = await open(browser, running);
  const readout = page.locator('#readout'), first = page.locator('.completions li').first();
  assertEqual('the latest step', (await readout.textContent()).startsWith('step 300'), true);
  await page.locator('#time').focus();
  await page.keyboard.press('Home');
  assertEqual('the first step', await readout.textContent(), 'step 0');
  assertEqual('its completions are marked', await first.evaluate(item => item.classList.contains('shown')), true);
  assertEqual('hostile text', await first.locator('pre').first().textContent(), `import n${HOSTILE_COMPLETION}`);
  await page.locator('#head5').check({ force: true });
  assertEqual('the head', (await page.locator('#attention-body h3').textContent()).startsWith('Layer 2, head 2 at step 0'), true);
  const transform = () => page.locator('.map text').nth(20).evaluate(mark => mark.style.transform);
  const before = await transform();
  await page.locator('#time').focus();
  await page.keyboard.press('ArrowRight');
  if (await transform() === before) throw new Error('the map does not change with the step');
  assertEqual('images', await page.locator('img').count(), 0);
  assertEqual('the title', await page.title(), 'Training: tinycopilot');
  await Promise.all([page.waitForEvent('load', { timeout: 60_000 }), page.evaluate(() => setTimeout(window.reloadNow))]);
  await page.waitForSelector('html[data-ready]', { timeout: 60_000 });
  assertEqual('after a reload, the step', (await readout.textContent()).startsWith('step 100'), true);
  assertEqual('after a reload, the head', await page.locator('#head5').isChecked(), true);
  assertEqual('after a reload, the focus', await page.evaluate(() => document.activeElement.id), 'time');
  await assertAccessible(page, 'watch, light');
  assertEqual('watch: errors', problems.join('; '), '');
  await page.close();
  const ended = await open(browser, join(folder, 'ended.html'));
  assertEqual('reload control after training', await ended.page.locator('#reload').count(), 0);
  await ended.page.close();
}

/** Writes pages of `train --watch` without a training run; returns false if the program's Python has no PyTorch. */
async function writeWatchPages() {
  const python = join(dirname(program), 'python'), script = fileURLToPath(new URL('../watched.py', import.meta.url));
  try {
    await run(python, ['-c', 'import torch']);
  } catch {
    console.log('PyTorch is not installed: the page of train --watch is not checked');
    return false;
  }
  await run(python, [script, folder]);
  return true;
}

const browser = await startBrowser();
try {
  writeFileSync(join(folder, 'other.py'), OTHER);
  const watchPages = writeWatchPages();  // while the others are tested
  const normal = await writePage('normal.html', TEXT);
  await Promise.all([
    testKeyboardAndControls(browser, normal).then(() => testLayouts(browser, normal)),
    ...Object.entries({ hostile: HOSTILE, empty: '', one: 'a', unseen: '\u2603\u{1f600}\ud55c' }).map(([name, text]) => testEscaping(browser, name, text)),
  ]);
  if (await watchPages) {
    await Promise.all([testWatchPage(browser, folder), testLayouts(browser, join(folder, 'ended.html'))]);
  }
  if (screenshot) {
    const { page } = await open(browser, normal, { viewport: { width: 1100, height: 960 } });
    await page.evaluate(() => document.getElementById('attention').scrollIntoView());
    await page.screenshot({ path: screenshot });
  }
  console.log('the pages of explain and train --watch: passed');
} finally {
  await browser.close();
  rmSync(folder, { recursive: true });
}
