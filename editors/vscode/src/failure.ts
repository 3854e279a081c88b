import { commands, window } from 'vscode';

/** What helps where no server runs: a button, and the command behind it. */
const REMEDIES = {
  'Install': ['tinycopilot.install'],
  'Manage trust': ['workbench.trust.manage'],
  'Restart': ['tinycopilot.restart'],
  'Show the log': ['tinycopilot.showLog'],
  'Open the setting': ['workbench.action.openSettings', 'tinycopilot.serverCommand'],
} as const;

export type Remedy = keyof typeof REMEDIES;

/** Says what is wrong, and does what the user chooses. */
export async function complain(message: string, remedies: Remedy[]): Promise<void> {
  const choice = await window.showErrorMessage(`tinycopilot: ${message}`, ...remedies);
  if (!choice) return;
  const [command, ...args] = REMEDIES[choice];
  await commands.executeCommand(command, ...args);
}
