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
  /** VS Code's names of the languages that are completed; `*` is every one. */
  languages: string[];
  /** What the server is told. It checks these itself. */
  forServer: Record<string, unknown>;
}

/** These are the extension's own. All else that package.json declares is the server's. */
const OWN_KEYS = ['serverCommand', 'installFrom', 'torchIndex'];

/** package.json's, too. */
export const DEFAULT_LANGUAGES = ['python'];

function serverKeys(): string[] {
  const { contributes } = extensions.getExtension('tinycopilot.tinycopilot')?.packageJSON;
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
    languages: Array.isArray(languages) ? languages.map(String) : DEFAULT_LANGUAGES,
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

/** Whether documents of a language are completed. */
export function hasLanguage({ languages }: Settings, language: string): boolean {
  return languages.includes('*') || languages.includes(language);
}

/** Completes documents of a language from now on, or no more; the setting is changed where it is set. */
export async function setLanguage(language: string, wanted: boolean): Promise<void> {
  const others = readSettings().languages.filter(name => name !== language);
  await update('languages', wanted ? [...others, language] : others);
}
