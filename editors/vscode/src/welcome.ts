import { commands, type Memento, window } from 'vscode';
import { setOnDemand } from './settings';

const KEY = 'welcomed';
const WALKTHROUGH = 'Get started';
const ON_DEMAND = 'Only when I ask';

/** Says, once on this machine, what the extension does, and how to switch it off. */
export async function welcome(memento: Memento): Promise<void> {
  if (memento.get(KEY)) return;
  await memento.update(KEY, true);
  const word = process.platform === 'darwin' ? '⌘→' : 'Ctrl+Right';
  const choice = await window.showInformationMessage(
    'tinycopilot completes code as you type. It learns from the folders that you open; nothing leaves this machine. '
    + `Tab accepts, ${word} accepts a word, Esc dismisses. To snooze it or switch it off, click tinycopilot in the status bar.`,
    WALKTHROUGH, ON_DEMAND);
  if (choice === WALKTHROUGH) await commands.executeCommand('workbench.action.openWalkthrough', 'tinycopilot.tinycopilot#begin');
  if (choice === ON_DEMAND) await setOnDemand(true);
}
