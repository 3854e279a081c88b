import { ConfigurationTarget, extensions, workspace } from 'vscode';

/** What package.json declares under `tinycopilot.`, with its defaults. */
export interface Settings {
  enabled: boolean;
  /** The server's program and its arguments; empty: look for it. */
  serverCommand: string[];
  /** Where the server is installed from, if the user wants it to be and the extension brings no wheel. */
  installFrom: string;
  /** Where PyTorch for the processor alone is installed from. */
  torchIndex: string;
  /** VS Code's names of the languages that are completed; `default`, `*` and `-name` as package.json describes them. */
  languages: string[];
  /** What the server is told. It checks these itself. */
  forServer: Record<string, unknown>;
}

/** These are the extension's own. All else that package.json declares is the server's. */
const OWN_KEYS = ['serverCommand', 'installFrom', 'torchIndex'];

function manifest() {
  return extensions.getExtension('tinycopilot.tinycopilot')?.packageJSON;
}

function serverKeys(): string[] {
  const { contributes } = manifest();
  const keys = Object.keys(contributes.configuration.properties).map(name => name.replace('tinycopilot.', ''));
  return keys.filter(key => !OWN_KEYS.includes(key));
}

/** Of settings, those with which there must be another server, or none; of the others, the one that runs is told. */
export function restarting({ enabled, serverCommand, languages }: Settings): string {
  return JSON.stringify([enabled, serverCommand, languages]);
}

export function readSettings(): Settings {
  const section = workspace.getConfiguration('tinycopilot');
  // The user's own values, never a workspace's: they are programs to run. The scope "machine" would see to that too,
  // but in a remote window VS Code then passes over the user's settings as well.
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

/** A command that is one text is a program without arguments. */
function wordsOf(command: unknown): string[] {
  if (typeof command === 'string' && command.trim()) return [command.trim()];
  return Array.isArray(command) ? command.map(String) : [];
}

/** Whether ghost text is shown only when a key asks for it. */
export function isOnDemand(): boolean {
  return workspace.getConfiguration('tinycopilot').get('inline') === 'onDemand';
}

/** Shows ghost text only when a key asks for it, or as one types; the setting is changed where it is set. */
export async function setOnDemand(wanted: boolean): Promise<void> {
  await update('inline', wanted ? 'onDemand' : 'automatic');
}

/** Changes a setting in the workspace if it is set there, or else for the user. */
async function update(name: string, value: unknown): Promise<void> {
  const section = workspace.getConfiguration('tinycopilot');
  const isWorkspaces = section.inspect(name)?.workspaceValue !== undefined;
  await section.update(name, value, isWorkspaces ? ConfigurationTarget.Workspace : ConfigurationTarget.Global);
}

/** Whether documents of a language are completed: the last word that names it counts. */
export function hasLanguage({ languages }: Pick<Settings, 'languages'>, language: string): boolean {
  let isOn = false;
  for (const word of languages) {
    if (word === language || word === '*' || (word === 'default' && manifest().writtenLanguages.includes(language))) isOn = true;
    else if (word === `-${language}`) isOn = false;
  }
  return isOn;
}

/** All of them by name; undefined: every one there is, but for those that the setting takes away. */
export function namedLanguages(settings: Settings): string[] | undefined {
  if (settings.languages.includes('*')) return undefined;
  const names = new Set<string>([...settings.languages, ...manifest().writtenLanguages]);
  return [...names].filter(name => name !== 'default' && hasLanguage(settings, name));
}

/** Completes documents of a language from now on, or no more; the setting is changed where it is set. */
export async function setLanguage(language: string, wanted: boolean): Promise<void> {
  const languages = readSettings().languages.filter(name => name !== language && name !== `-${language}`);
  if (hasLanguage({ languages }, language) !== wanted) languages.push(wanted ? language : `-${language}`);
  await update('languages', languages);
}
