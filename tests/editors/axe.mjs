// Checks the accessibility of a page with axe: prints all violations, and fails if any is serious.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, resolve } from 'node:path';
import { assertEqual } from './vscode_page.mjs';

let script;

/** The source of axe-core, which is installed next to playwright-core; undefined if it is missing. */
export function findAxe() {
  const editors = process.env.EDITORS_DIR ?? resolve(dirname(process.execPath), '../../../..');
  try {
    script ??= readFileSync(createRequire(`${editors}/playwright/`).resolve('axe-core/axe.min.js'), 'utf8');
  } catch {
    console.log('axe-core is not installed: accessibility is not checked');
  }
  return script;
}

/** Throws if axe finds serious or critical violations on the page; `what` describes the page. */
export async function assertAccessible(page, what) {
  if (!findAxe()) return;
  await page.evaluate(script);
  const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }));
  for (const { id, impact, nodes } of violations) console.log(`axe, ${what}: ${impact}: ${id}: ${nodes.slice(0, 3).map(node => node.html.slice(0, 120)).join(' | ')}`);
  const serious = violations.filter(({ impact }) => ['serious', 'critical'].includes(impact));
  assertEqual(`axe, ${what}`, serious.map(({ id }) => id).join(), '');
}
