// Opens the pages of `tinycopilot explain --html` and `tinycopilot train --watch` in headless Chromium, uses them with mouse
// and keys, and runs axe on them.
//
//   node explain_page.mjs TINYCOPILOT [SCREENSHOT.png]
//
// TINYCOPILOT is the program. playwright-core and axe-core are where vscode_page.mjs looks for the first. With
// SCREENSHOT.png, that picture of the page is taken (docs/explain.png, which is then reduced to 200 colours).
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { accessible } from './axe.mjs';
import { same, startBrowser } from './vscode_page.mjs';

const [program, screenshot] = process.argv.slice(2);
if (!program) throw new Error('usage: explain_page.mjs TINYCOPILOT [SCREENSHOT.png]');
const HOSTILE = '</script><script>document.title = "run"</script><!-- <img src=x onerror="document.title=1">\n{{ 7 * 7 }} \u0007';
const HOSTILE_COMPLETION = '</pre></script><script>document.title = "run"</script><!-- <img src=x onerror="document.title=1">{{ 7 * 7 }}\ufffd';
const OTHER = 'import argparse\n\n\ndef parse():\n    parser = argparse.ArgumentParser()\n    parser.add_argument("--limit", type=int)\n    return parser.parse_args()\n';
const TEXT = 'import argparse\n\n\ndef main():\n    parser = argparse.ArgumentParser()\n    parser.add_arg';
const folder = mkdtempSync(join(tmpdir(), 'explain-'));

function make(name, text, ...words) {
  const file = join(folder, name);
  execFileSync(program, ['explain', '-', '--html', file, '--workspace', folder, ...words], { input: text, stdio: ['pipe', 'ignore', 'ignore'] });
  return file;
}

async function open(browser, file, options = {}) {
  const page = await browser.newPage({ viewport: { width: 1100, height: 900 }, ...options });
  const wrong = [];
  page.on('pageerror', error => wrong.push(error.message));
  page.on('console', message => { if (message.type() === 'error') wrong.push(message.text()); });
  page.on('dialog', dialog => { wrong.push('a dialog'); dialog.dismiss(); });
  page.on('request', request => { if (request.url() !== pathToFileURL(file).href) wrong.push(`loads ${request.url()}`); });
  // A page that reloads itself does so when the test says so, and not in the middle of a check.
  await page.addInitScript(() => { const real = window.setInterval; window.setInterval = (call, ms) => ms < 5000 ? real(call, ms) : (window.reloadNow = call, 0); });
  await page.goto(pathToFileURL(file).href);
  await page.waitForSelector('html[data-ready]', { timeout: 60_000 });
  return { page, wrong };
}

const data = page => page.evaluate(() => JSON.parse(document.getElementById('data').textContent));
const slide = (page, id, value) => page.locator(id).evaluate((input, to) => { input.value = to; input.dispatchEvent(new Event('input')); }, value);
const fits = page => page.evaluate(() => document.documentElement.scrollWidth <= innerWidth);

async function isUsedWithKeys(browser, file) {
  const { page, wrong } = await open(browser, file);
  const given = await data(page), n = given.text.length, readout = page.locator('#readout');
  same('the first choice', (await readout.textContent()).startsWith(`“g”, character ${n} of ${n}.`), true);
  await page.locator('#text').focus();
  for (const [key, at] of [['ArrowLeft', n - 1], ['ArrowLeft', n - 2], ['ArrowRight', n - 1], ['Home', 1], ['ArrowLeft', 1], ['ArrowDown', 2], ['End', n], ['ArrowRight', n]]) {
    await page.keyboard.press(key);
    same(`the character after ${key}`, (await readout.textContent()).includes(`character ${at} of ${n}.`), true);
    same('what a screen reader follows', await page.locator('#text').getAttribute('aria-activedescendant'), `c${at - 1}`);
    same('the selected options', await page.locator('#text [aria-selected=true]').count(), 1);
  }
  await page.keyboard.press('ArrowUp');
  same('a line up is above', (await readout.textContent()).startsWith('“a”'), true);
  await page.locator('#c30').click();
  const position = given.mixture.positions[30];
  const network = await page.locator('#mixture-body .columns').first().locator('.bars').first().locator('li').first().textContent();
  same('the network’s likeliest character', network.startsWith(position.top[0][0][0]), true);
  const p = Number.parseFloat(await page.locator('#sampling-body .bars .figure').first().textContent());
  if (Math.abs(p - 100 * position.top[0][0][1]) > 0.2) throw new Error(`sampling at temperature 1: ${p}, not ${100 * position.top[0][0][1]}`);
  await slide(page, '#temperature', 0);
  same('temperature 0 takes the likeliest', await page.locator('#sampling-body .bars .figure').first().textContent(), '100.0 %');
  await slide(page, '#temperature', 2);
  await slide(page, '#top-k', 3);
  same('top-k', (await page.locator('#sampling-body p').first().textContent()).includes(', 3 of '), true);
  await page.getByRole('button', { name: 'Draw' }).click();
  same('drawn characters', await page.locator('#sampling-body .chip').count(), 30);
  for (const [i, one] of given.decision.by_eagerness.entries()) {
    await slide(page, '#eagerness', i);
    same(`why, at eagerness ${one.eagerness}`, await page.locator('#decision-body .verdict').textContent(), one.why);
  }
  await page.getByLabel('without network').check();
  same('without the network', (await page.locator('#mixture-body .columns .orange .figure').first().textContent()).endsWith('%'), true);
  await page.locator('.heads label').first().click();
  same('the head', (await page.locator('#attention-body h3').first().textContent()).startsWith('Layer 1, head 1'), true);
  await page.locator('#text').focus();
  await page.keyboard.press('End');
  await page.locator('#attention-body td button, #attention-body th button').nth(2).click();
  same('a key is chosen', await page.locator('#attention-body button[aria-pressed=true]').count(), 1);
  same('where it was seen', (await page.locator('.seen').textContent()).includes('other.py:'), true);
  await accessible(page, 'light');
  same('errors', wrong.join('; '), '');
  await page.close();
}

async function fitsEverywhere(browser, file) {
  for (const [what, options] of Object.entries({ dark: { colorScheme: 'dark' }, narrow: { viewport: { width: 320, height: 600 } } })) {
    const { page, wrong } = await open(browser, file, options);
    same(`${what}: it fits`, await fits(page), true);
    await accessible(page, what);
    same(`${what}: errors`, wrong.join('; '), '');
    await page.close();
  }
  const { page } = await open(browser, file, { viewport: { width: 720, height: 1000 } });
  await page.emulateMedia({ media: 'print' });
  same('print: it fits', await fits(page), true);
  same('print: no strip stays', await page.locator('.sticky').evaluate(strip => getComputedStyle(strip).position), 'static');
  await page.close();
}

async function textStaysText(browser, file, text) {
  const { page, wrong } = await open(browser, file);
  same('the title', (await page.title()).startsWith('How this suggestion'), true);
  same('scripts', await page.locator('script').count(), 2);
  same('images', await page.locator('img').count(), 0);
  same('the text', (await data(page)).text.join(''), `\n${text}`);
  same('options', await page.locator('#text [role=option]').count(), [...text].length + 1);
  same('errors', wrong.join('; '), '');
  await page.close();
}

async function isWatched(browser, folder) {
  const running = join(folder, 'running.html'), { page, wrong } = await open(browser, running);
  const readout = page.locator('#readout'), first = page.locator('.completions li').first();
  same('the newest step', (await readout.textContent()).startsWith('step 300'), true);
  await page.locator('#time').focus();
  await page.keyboard.press('Home');
  same('the first step', await readout.textContent(), 'step 0');
  same('its completions are marked', await first.evaluate(item => item.classList.contains('shown')), true);
  same('hostile text', await first.locator('pre').first().textContent(), `import n${HOSTILE_COMPLETION}`);
  await page.locator('#head5').check({ force: true });
  same('the head', (await page.locator('#attention-body h3').textContent()).startsWith('Layer 2, head 2 at step 0'), true);
  const place = () => page.locator('.map text').nth(20).evaluate(mark => mark.style.transform);
  const before = await place();
  await page.locator('#time').focus();
  await page.keyboard.press('ArrowRight');
  if (await place() === before) throw new Error('the map does not follow the step');
  same('images', await page.locator('img').count(), 0);
  same('the title', await page.title(), 'Training: tinycopilot');
  await Promise.all([page.waitForEvent('load', { timeout: 60_000 }), page.evaluate(() => setTimeout(window.reloadNow))]);
  await page.waitForSelector('html[data-ready]', { timeout: 60_000 });
  same('after a reload, the step', (await readout.textContent()).startsWith('step 100'), true);
  same('after a reload, the head', await page.locator('#head5').isChecked(), true);
  same('after a reload, the focus', await page.evaluate(() => document.activeElement.id), 'time');
  await accessible(page, 'watch, light');
  same('watch: errors', wrong.join('; '), '');
  await page.close();
  const ended = await open(browser, join(folder, 'ended.html'));
  same('after training, nothing reloads', await ended.page.locator('#reload').count(), 0);
  await ended.page.close();
}

/** Pages of `train --watch`, written without a training run; false if the program's Python has no PyTorch. */
function makeWatched() {
  const python = join(dirname(program), 'python'), script = fileURLToPath(new URL('../watched.py', import.meta.url));
  try {
    execFileSync(python, ['-c', 'import torch'], { stdio: 'ignore' });
  } catch {
    console.log('PyTorch is not installed: the page of train --watch is not checked');
    return false;
  }
  execFileSync(python, [script, folder], { stdio: ['ignore', 'ignore', 'inherit'] });
  return true;
}

const browser = await startBrowser();
try {
  writeFileSync(join(folder, 'other.py'), OTHER);
  const usual = make('usual.html', TEXT);
  await isUsedWithKeys(browser, usual);
  await fitsEverywhere(browser, usual);
  for (const [name, text] of Object.entries({ hostile: HOSTILE, empty: '', one: 'a', unseen: '\u2603\u{1f600}\ud55c' })) await textStaysText(browser, make(`${name}.html`, text), text);
  if (makeWatched()) {
    await isWatched(browser, folder);
    await fitsEverywhere(browser, join(folder, 'ended.html'));
  }
  if (screenshot) {
    const { page } = await open(browser, usual, { viewport: { width: 1100, height: 960 } });
    await page.evaluate(() => document.getElementById('attention').scrollIntoView());
    await page.screenshot({ path: screenshot });
  }
  console.log('the pages of explain and train --watch: passed');
} finally {
  await browser.close();
  rmSync(folder, { recursive: true });
}
