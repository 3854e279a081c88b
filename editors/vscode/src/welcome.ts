// The welcome message, shown once per machine.
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { commands, window } from 'vscode';
import { setOnDemand } from './settings';

const MARK = 'welcomed';
const WALKTHROUGH = 'Get started';
const ON_DEMAND = 'Only when I ask';

/** Shows a welcome message, once per machine: what the extension does, and how to switch it off. A file in `folder` records this. */
export async function welcome(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  try {
    await writeFile(join(folder, MARK), '', { flag: 'wx' });  // wx: only one window succeeds, unlike a Memento
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return;
    throw error;
  }
  const word = process.platform === 'darwin' ? '⌘→' : 'Ctrl+Right';
  const choice = await window.showInformationMessage(
    'tinycopilot completes code as you type. It learns from the folders that you open; nothing leaves this machine. '
    + `Tab accepts a suggestion, ${word} accepts a word, Esc dismisses it. To snooze suggestions or turn them off, click tinycopilot in the status bar.`,
    WALKTHROUGH, ON_DEMAND);
  if (choice === WALKTHROUGH) await commands.executeCommand('workbench.action.openWalkthrough', 'tinycopilot.tinycopilot#begin');
  if (choice === ON_DEMAND) await setOnDemand(true);
}
