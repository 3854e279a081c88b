// Accessibility of a page, by axe: what is serious fails, everything is printed.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, resolve } from 'node:path';
import { same } from './vscode_page.mjs';

let script;

/** The source of axe-core, beside playwright-core; undefined if it is not installed. */
export function findAxe() {
  const editors = process.env.EDITORS_DIR ?? resolve(dirname(process.execPath), '../../../..');
  try {
    script ??= readFileSync(createRequire(`${editors}/playwright/`).resolve('axe-core/axe.min.js'), 'utf8');
  } catch {
    console.log('axe-core is not installed: accessibility is not checked');
  }
  return script;
}

export async function accessible(page, what) {
  if (!findAxe()) return;
  await page.evaluate(script);
  const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }));
  for (const { id, impact, nodes } of violations) console.log(`axe, ${what}: ${impact}: ${id}: ${nodes.slice(0, 3).map(node => node.html.slice(0, 120)).join(' | ')}`);
  const serious = violations.filter(({ impact }) => ['serious', 'critical'].includes(impact));
  same(`axe, ${what}`, serious.map(({ id }) => id).join(), '');
}
