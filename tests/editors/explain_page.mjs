// Opens the page of `tinycopilot explain --html` in headless Chromium, uses it with mouse and keys, and runs axe on it.
//
//   node explain_page.mjs TINYCOPILOT [SCREENSHOT.png]
//
// TINYCOPILOT is the program. playwright-core and axe-core are where vscode_page.mjs looks for the first. With
// SCREENSHOT.png, that picture of the page is taken (docs/explain.png, which is then reduced to 200 colours).
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { same, startBrowser } from './vscode_page.mjs';

const [program, screenshot] = process.argv.slice(2);
if (!program) throw new Error('usage: explain_page.mjs TINYCOPILOT [SCREENSHOT.png]');
const HOSTILE = '</script><script>document.title = "run"</script><!-- <img src=x onerror="document.title=1">\n{{ 7 * 7 }} \u0007';
const OTHER = 'import argparse\n\n\ndef parse():\n    parser = argparse.ArgumentParser()\n    parser.add_argument("--limit", type=int)\n    return parser.parse_args()\n';
const TEXT = 'import argparse\n\n\ndef main():\n    parser = argparse.ArgumentParser()\n    parser.add_arg';
const folder = mkdtempSync(join(tmpdir(), 'explain-'));
const editors = process.env.EDITORS_DIR ?? resolve(dirname(process.execPath), '../../../..');
let axe;
try {
  axe = readFileSync(createRequire(`${editors}/playwright/`).resolve('axe-core/axe.min.js'), 'utf8');
} catch {
  console.log('axe-core is not installed: accessibility is not checked');
}

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
  await page.goto(pathToFileURL(file).href);
  await page.waitForSelector('html[data-ready]', { timeout: 60_000 });
  return { page, wrong };
}

async function accessible(page, what) {
  if (!axe) return;
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }));
  for (const { id, impact, nodes } of violations) console.log(`axe, ${what}: ${impact}: ${id}: ${nodes.slice(0, 3).map(node => node.html.slice(0, 120)).join(' | ')}`);
  const serious = violations.filter(({ impact }) => ['serious', 'critical'].includes(impact));
  same(`axe, ${what}`, serious.map(({ id }) => id).join(), '');
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

const browser = await startBrowser();
try {
  writeFileSync(join(folder, 'other.py'), OTHER);
  const usual = make('usual.html', TEXT);
  await isUsedWithKeys(browser, usual);
  await fitsEverywhere(browser, usual);
  for (const [name, text] of Object.entries({ hostile: HOSTILE, empty: '', one: 'a', unseen: '\u2603\u{1f600}\ud55c' })) await textStaysText(browser, make(`${name}.html`, text), text);
  if (screenshot) {
    const { page } = await open(browser, usual, { viewport: { width: 1100, height: 960 } });
    await page.evaluate(() => document.getElementById('attention').scrollIntoView());
    await page.screenshot({ path: screenshot });
  }
  console.log('the page of explain: passed');
} finally {
  await browser.close();
  rmSync(folder, { recursive: true });
}
