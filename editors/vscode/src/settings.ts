import { workspace } from 'vscode';
import { contributes } from '../package.json';

/** What package.json declares under `tinycopilot.`, with its defaults. */
export interface Settings {
  enabled: boolean;
  /** The server's program and its arguments; empty: look on the PATH. */
  serverCommand: string[];
  /** VS Code's names of the languages that are completed; `*` is every one. */
  languages: string[];
  /** What the server is told. It checks these itself. */
  forServer: Record<string, unknown>;
}

/** All that is declared is the server's, but for what starts it. */
const SERVER_KEYS = Object.keys(contributes.configuration.properties)
  .map(name => name.replace('tinycopilot.', ''))
  .filter(key => key !== 'serverCommand');

/** For these there must be another server, or none; of the others, the one that runs is told. */
export const RESTARTING = ['enabled', 'serverCommand', 'languages']
  .map(key => `tinycopilot.${key}`);

export function readSettings(): Settings {
  const section = workspace.getConfiguration('tinycopilot');
  // The user's own value, never a workspace's: it is a program to run. The scope "machine" would see to that too,
  // but in a remote window VS Code then passes over the user's settings as well.
  const command = section.inspect<unknown>('serverCommand')?.globalValue;
  const languages = section.get<unknown>('languages');
  return {
    enabled: section.get('enabled', true),
    serverCommand: Array.isArray(command) ? command.map(String) : [],
    languages: Array.isArray(languages) ? languages.map(String) : ['python'],
    forServer: Object.fromEntries(SERVER_KEYS.map(key => [key, section.get(key)])),
  };
}

/** Whether documents of a language are completed. */
export function hasLanguage({ languages }: Settings, language: string): boolean {
  return languages.includes('*') || languages.includes(language);
}
