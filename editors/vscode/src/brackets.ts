// Close an opening bracket at the end of an accepted suggestion, as if the user had typed it.
import { type Command, commands, InlineCompletionItem, type InlineCompletionList, Range, window } from 'vscode';

/** Command: types the last bracket of an accepted suggestion again, then runs the suggestion's own command. */
export const OPEN_BRACKET = 'tinycopilot.openBracket';
const OPENING = /[([{]$/;

type Items = InlineCompletionItem[] | InlineCompletionList | null | undefined;

/**
 * Makes VS Code type the opening bracket at the end of an accepted suggestion. VS Code then adds the closing bracket if
 * the user's settings say so, and typing the closing bracket replaces the added one.
 */
export function withTypedBrackets<Answer extends Items>(answer: Answer): Answer {
  const items = Array.isArray(answer) ? answer : answer?.items ?? [];
  for (const item of items) {
    const text = item.insertText;
    if (typeof text !== 'string' || !OPENING.test(text)) continue;
    item.command = { title: 'Close the bracket', command: OPEN_BRACKET, arguments: [text.slice(-1), item.command] };
  }
  return answer;
}

/** Replaces the bracket before each cursor with a typed one; does nothing if the text has changed since. */
export async function openBracket(bracket: string, then?: Command): Promise<void> {
  const editor = window.activeTextEditor;
  const inserted = (editor?.selections ?? []).map(({ active }) => new Range(active.with({ character: Math.max(active.character - 1, 0) }), active));
  if (editor && inserted.every(range => editor.document.getText(range) === bracket)) {
    const isDeleted = await editor.edit(edit => inserted.forEach(range => edit.delete(range)), { undoStopBefore: false, undoStopAfter: false });
    if (isDeleted) await commands.executeCommand('type', { text: bracket });
  }
  if (then) await commands.executeCommand(then.command, ...then.arguments ?? []);
}
