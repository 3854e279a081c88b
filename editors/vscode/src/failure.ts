// Error messages, with buttons that fix the problem.
import { commands, window } from 'vscode';

/** Buttons of error messages, and their commands. */
const REMEDIES = {
  'Install': ['tinycopilot.install'],
  'Manage trust': ['workbench.trust.manage'],
  'Restart': ['tinycopilot.restart'],
  'Show the log': ['tinycopilot.showLog'],
  'Open the setting': ['workbench.action.openSettings', 'tinycopilot.serverCommand'],
} as const;

export type Remedy = keyof typeof REMEDIES;

/** Shows the error if an action fails; VS Code itself would not show it if the walkthrough has run the action. */
export async function runAction(run: () => unknown): Promise<void> {
  try {
    await run();
  } catch (error) {
    void showError((error as Error).message, []);
  }
}

/** Shows an error, and runs the command that the user chooses. */
export async function showError(message: string, remedies: Remedy[]): Promise<void> {
  const choice = await window.showErrorMessage(`tinycopilot: ${message}`, ...remedies);
  if (!choice) return;
  const [command, ...args] = REMEDIES[choice];
  await commands.executeCommand(command, ...args);
}
