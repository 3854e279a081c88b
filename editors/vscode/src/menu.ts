// The menu of the status bar item.
import { commands, type QuickPickItem, QuickPickItemKind, window } from 'vscode';
import type { Action } from './actions';

/** Shows the available actions, and runs the chosen one. */
export async function showMenu(actions: Action[], title: string): Promise<void> {
  const items: (QuickPickItem & { action?: Action })[] = [];
  let group = '';
  for (const action of actions.filter(action => action.isOffered())) {
    if (action.group !== group) items.push({ label: action.group, kind: QuickPickItemKind.Separator });
    group = action.group;
    items.push({ label: action.label(), action });
  }
  const choice = await window.showQuickPick(items, { title });
  if (choice?.action) await commands.executeCommand(choice.action.command);
}
