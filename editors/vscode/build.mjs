// Bundles the extension into dist/extension.js, and the licences of everything bundled into dist/LICENSES.txt.
import { build } from 'esbuild';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';

const { metafile } = await build({
  entryPoints: ['src/extension.ts'],
  outfile: 'dist/extension.js',
  external: ['vscode'],
  platform: 'node',
  format: 'cjs',
  target: 'node20',
  bundle: true,
  minify: true,
  metafile: true,
});

const packages = Object.keys(metafile.inputs).map(file => file.match(/^.*node_modules\/(?:@[^/]+\/)?[^/]+/)?.[0]);
const licences = [...new Set(packages)].filter(Boolean).sort().map(folder => {
  const file = readdirSync(folder).find(name => /^licen[cs]e/i.test(name));
  if (!file) throw new Error(`no licence in ${folder}`);
  return `${folder.replace(/^.*node_modules\//, '')}\n\n${readFileSync(`${folder}/${file}`, 'utf8').trim()}\n`;
});
writeFileSync('dist/LICENSES.txt', licences.join(`\n${'-'.repeat(80)}\n\n`));

const [{ bytes }] = Object.values(metafile.outputs);
console.log(`dist/extension.js ${Math.round(bytes / 1000)} kB, ${licences.length} packages bundled`);
