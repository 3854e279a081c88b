// Opens the main pages of the site in headless Chromium, light, dark and 320 pixels wide, and runs axe on them.
//
//   node site_pages.mjs SITE
//
// SITE is the folder that `make site` writes. playwright-core and axe-core are where vscode_page.mjs looks for the first.
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { accessible, findAxe } from './axe.mjs';
import { same, startBrowser } from './vscode_page.mjs';

const [site] = process.argv.slice(2);
if (!site) throw new Error('usage: site_pages.mjs SITE');
const MAIN = ['index.html', 'install.html', 'training.html', 'explain.html', 'architecture.html', 'api.html', 'reference/tinycopilot.html'];
if (!findAxe()) throw new Error('axe-core is not installed: make editors');

const browser = await startBrowser();
try {
  for (const [what, options] of Object.entries({ light: {}, dark: { colorScheme: 'dark' }, narrow: { viewport: { width: 320, height: 600 } } })) {
    const page = await browser.newPage({ viewport: { width: 1100, height: 900 }, ...options });
    const loaded = [];
    page.on('request', request => { if (!request.url().startsWith('file:') && !request.url().startsWith('data:')) loaded.push(request.url()); });
    for (const name of MAIN) {
      await page.goto(pathToFileURL(resolve(site, name)).href);
      await accessible(page, `${name}, ${what}`);
      same(`${name}, ${what}: it fits`, await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true);
    }
    same('loaded from elsewhere', loaded.join(), '');
    await page.close();
  }
  const chapters = [...readFileSync(resolve(site, 'index.html'), 'utf8').matchAll(/class="toctree-l1"/g)];
  if (chapters.length < 10) throw new Error(`the navigation has ${chapters.length} pages`);
  console.log('the site: passed');
} finally {
  await browser.close();
}
