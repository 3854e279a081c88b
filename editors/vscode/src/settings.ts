// Read the settings, turn languages on and off, and find the changes that require a restart.
import { ConfigurationTarget, extensions, workspace } from 'vscode';

/** The settings that package.json declares under `tinycopilot.`, with its defaults. */
export interface Settings {
  enabled: boolean;
  /** The server's program and its arguments; empty: search for it. */
  serverCommand: string[];
  /** Where to install the server from if the extension does not include a wheel. */
  installFrom: string;
  /** Where to install CPU builds of PyTorch from. */
  torchIndex: string;
  /** VS Code's identifiers of the languages to complete; `default`, `*` and `-name` as package.json describes them. */
  languages: string[];
  /** The server's settings, which it validates itself. */
  forServer: Record<string, unknown>;
}

/** The extension's own settings; all others that package.json declares are the server's. */
const OWN_KEYS = ['serverCommand', 'installFrom', 'torchIndex'];

function manifest() {
  return extensions.getExtension('tinycopilot.tinycopilot')?.packageJSON;
}

function serverKeys(): string[] {
  const { contributes } = manifest();
  const keys = Object.keys(contributes.configuration.properties).map(name => name.replace('tinycopilot.', ''));
  return keys.filter(key => !OWN_KEYS.includes(key));
}

/** The values of the settings that take effect only after a restart, as a string to compare. */
export function restartKey({ enabled, serverCommand, languages }: Settings): string {
  return JSON.stringify([enabled, serverCommand, languages]);
}

export function readSettings(): Settings {
  const section = workspace.getConfiguration('tinycopilot');
  // Only the user's values, never a workspace's, since they name programs to run. The scope "machine" would also ensure
  // this, but in a remote window, VS Code would then ignore the user's settings, too.
  const [command, source, index] = OWN_KEYS.map(key => section.inspect<unknown>(key)?.globalValue);
  const languages = section.get<unknown>('languages');
  return {
    enabled: section.get('enabled', true),
    serverCommand: wordsOf(command),
    installFrom: typeof source === 'string' ? source.trim() : '',
    torchIndex: typeof index === 'string' ? index.trim() : '',
    languages: Array.isArray(languages) ? languages.map(String) : ['default'],
    forServer: Object.fromEntries(serverKeys().map(key => [key, section.get(key)])),
  };
}

/** The program and arguments of a command; a string is a program without arguments. */
function wordsOf(command: unknown): string[] {
  if (typeof command === 'string' && command.trim()) return [command.trim()];
  return Array.isArray(command) ? command.map(String) : [];
}

/** Whether ghost text is shown only on demand. */
export function isOnDemand(): boolean {
  return workspace.getConfiguration('tinycopilot').get('inline') === 'onDemand';
}

/** Shows ghost text only on demand, or while typing; changes the setting where it is set. */
export async function setOnDemand(wanted: boolean): Promise<void> {
  await update('inline', wanted ? 'onDemand' : 'automatic');
}

/** Changes a setting in the workspace if it is set there, or else for the user. */
async function update(name: string, value: unknown): Promise<void> {
  const section = workspace.getConfiguration('tinycopilot');
  const isInWorkspace = section.inspect(name)?.workspaceValue !== undefined;
  await section.update(name, value, isInWorkspace ? ConfigurationTarget.Workspace : ConfigurationTarget.Global);
}

/** Whether documents in a language are completed. If several entries match it, the last one wins. */
export function hasLanguage({ languages }: Pick<Settings, 'languages'>, language: string): boolean {
  let isOn = false;
  for (const word of languages) {
    if (word === language || word === '*' || (word === 'default' && manifest().writtenLanguages.includes(language))) isOn = true;
    else if (word === `-${language}`) isOn = false;
  }
  return isOn;
}

/** Names of all enabled languages; undefined: all languages, except those that the setting excludes. */
export function namedLanguages(settings: Settings): string[] | undefined {
  if (settings.languages.includes('*')) return undefined;
  const names = new Set<string>([...settings.languages, ...manifest().writtenLanguages]);
  return [...names].filter(name => name !== 'default' && hasLanguage(settings, name));
}

/** Enables or disables a language; changes the setting where it is set. */
export async function setLanguage(language: string, wanted: boolean): Promise<void> {
  const languages = readSettings().languages.filter(name => name !== language && name !== `-${language}`);
  if (hasLanguage({ languages }, language) !== wanted) languages.push(wanted ? language : `-${language}`);
  await update('languages', languages);
}
