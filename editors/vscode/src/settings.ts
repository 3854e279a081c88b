import { workspace } from 'vscode';

/** What package.json declares under `tinycopilot.`, with its defaults. */
export interface Settings {
  enabled: boolean;
  /** The server's program and its arguments; empty: look on the PATH. */
  serverCommand: string[];
  /** List the rest of the line in the suggest menu too. */
  suggestMenu: boolean;
  /** What the server is told when it starts. It checks these itself. */
  forServer: Record<string, unknown>;
}

const SERVER_KEYS = [
  'modelPath', 'tokenizerPath', 'eagerness', 'minConfidence', 'maxChars', 'maxLines', 'threads', 'maxWorkspaceChars',
];

export function readSettings(): Settings {
  const section = workspace.getConfiguration('tinycopilot');
  // The user's own value, never a workspace's: it is a program to run. The scope "machine" would see to that too,
  // but in a remote window VS Code then passes over the user's settings as well.
  const command = section.inspect<unknown>('serverCommand')?.globalValue;
  return {
    enabled: section.get('enabled', true),
    serverCommand: Array.isArray(command) ? command.map(String) : [],
    suggestMenu: section.get('suggestMenu', false),
    forServer: Object.fromEntries(SERVER_KEYS.map(key => [key, section.get(key)])),
  };
}
