// Bundles the extension into dist/extension.js, and the licenses of all bundled packages into dist/LICENSES.txt.
import { build } from 'esbuild';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';

const MAX_KB = 340;

/** Features of the client library that the server doesn't support: their modules are replaced by stubs. */
const UNUSED = [
  'callHierarchy', 'codeAction', 'codeLens', 'colorProvider', 'declaration', 'definition', 'diagnostic',
  'documentHighlight', 'documentLink', 'documentSymbol', 'fileOperations', 'foldingRange', 'formatting', 'hover',
  'implementation', 'inlayHint', 'inlineValue', 'linkedEditingRange', 'moniker',
  'protocolCallHierarchyItem', 'protocolCodeAction', 'protocolCodeLens', 'protocolDocumentLink', 'protocolInlayHint',
  'protocolTypeHierarchyItem', 'protocolWorkspaceSymbol', 'reference', 'rename', 'selectionRange', 'semanticTokens',
  'signatureHelp', 'textDocumentContent', 'typeDefinition', 'typeHierarchy', 'workspaceSymbol',
];
const NOTHING = `
  class Nothing { getState() { return { kind: 'static' }; } fillClientCapabilities() {} initialize() {} clear() {} }
  module.exports = new Proxy({}, { get: () => Nothing });`;
/** Replaces the glob patterns for notebooks, which the server doesn't use. */
const NO_GLOB_PATTERNS = 'module.exports = {};';
/** Replaces the check that VS Code is at least 1.91, which `engines` in package.json ensures. */
const ANY_VERSION = 'module.exports = version => ({ version, prerelease: [] });';

const replaceUnused = {
  name: 'replace-unused',
  setup({ onLoad }) {
    const unused = new RegExp(`vscode-language(client|server-protocol)[/\\\\]lib[/\\\\]common[/\\\\](protocol\\.)?(${UNUSED.join('|')})\\.js$`);
    onLoad({ filter: unused }, () => ({ contents: NOTHING }));
    onLoad({ filter: /utils[/\\]globPattern\.js$/ }, () => ({ contents: NO_GLOB_PATTERNS }));
    onLoad({ filter: /semver[/\\]functions[/\\](parse|satisfies)\.js$/ }, () => ({ contents: ANY_VERSION }));
  },
};

/** An extension that includes the wheel (`make vsix`) is for other machines. */
const includesWheel = existsSync('wheel');

const { metafile } = await build({
  entryPoints: ['src/extension.ts'],
  outfile: 'dist/extension.js',
  external: ['vscode'],
  platform: 'node',
  define: { CLONE: JSON.stringify(includesWheel ? '' : resolve('../..')) },
  format: 'cjs',
  target: 'node20',
  bundle: true,
  minify: true,
  metafile: true,
  plugins: [replaceUnused],
});

const packages = Object.keys(metafile.inputs).map(file => file.match(/^.*node_modules\/(?:@[^/]+\/)?[^/]+/)?.[0]);
const licenses = [...new Set(packages)].filter(Boolean).sort().map(folder => {
  const file = readdirSync(folder).find(name => /^licen[cs]e/i.test(name));
  if (!file) throw new Error(`no license file in ${folder}`);
  return `${folder.replace(/^.*node_modules\//, '')}\n\n${readFileSync(`${folder}/${file}`, 'utf8').trim()}\n`;
});
writeFileSync('dist/LICENSES.txt', licenses.join(`\n${'-'.repeat(80)}\n\n`));

const [{ bytes }] = Object.values(metafile.outputs);
console.log(`dist/extension.js ${Math.round(bytes / 1000)} kB, ${licenses.length} packages bundled`);
if (bytes > MAX_KB * 1000) throw new Error(`dist/extension.js is larger than ${MAX_KB} kB`);
