// Opens the main pages of the site in headless Chromium (light, dark, and 320 pixels wide), and checks them with axe.
//
//   node site_pages.mjs SITE
//
// SITE is the output folder of `make site`. playwright-core and axe-core are found as in vscode_page.mjs.
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { assertAccessible, findAxe } from './axe.mjs';
import { assertEqual, startBrowser } from './vscode_page.mjs';

const [site] = process.argv.slice(2);
if (!site) throw new Error('usage: site_pages.mjs SITE');
const MAIN_PAGES = ['index.html', 'install.html', 'training.html', 'explain.html', 'architecture.html', 'api.html', 'reference/tinycopilot.html'];
if (!findAxe()) throw new Error('axe-core is not installed; run: make editors');

const browser = await startBrowser();
try {
  for (const [what, options] of Object.entries({ light: {}, dark: { colorScheme: 'dark' }, narrow: { viewport: { width: 320, height: 600 } } })) {
    const page = await browser.newPage({ viewport: { width: 1100, height: 900 }, ...options });
    const external = [];
    page.on('request', request => { if (!request.url().startsWith('file:') && !request.url().startsWith('data:')) external.push(request.url()); });
    for (const name of MAIN_PAGES) {
      await page.goto(pathToFileURL(resolve(site, name)).href);
      await assertAccessible(page, `${name}, ${what}`);
      assertEqual(`${name}, ${what}: fits the width`, await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true);
    }
    assertEqual('external requests', external.join(), '');
    await page.close();
  }
  const chapters = [...readFileSync(resolve(site, 'index.html'), 'utf8').matchAll(/class="toctree-l1"/g)];
  if (chapters.length < 10) throw new Error(`the navigation has only ${chapters.length} pages`);
  console.log('the site: passed');
} finally {
  await browser.close();
}
