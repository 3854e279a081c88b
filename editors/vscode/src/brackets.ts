import { type Command, commands, InlineCompletionItem, type InlineCompletionList } from 'vscode';

/** Types an opening bracket after a suggestion was accepted, then runs the suggestion's own command. */
export const OPEN_BRACKET = 'tinycopilot.openBracket';
const OPENING = /[([{]$/;

type Items = InlineCompletionItem[] | InlineCompletionList | null | undefined;

/**
 * Suggestions that end with an opening bracket, without it: when one is accepted, VS Code types the bracket, and so closes
 * it, or not, as the user has set. A closing bracket that it adds in this way is typed over.
 */
export function withTypedBrackets<Answer extends Items>(answer: Answer): Answer {
  const items = Array.isArray(answer) ? answer : answer?.items ?? [];
  for (const item of items) {
    const text = item.insertText;
    if (typeof text !== 'string' || !OPENING.test(text) || text.length < 2) continue;
    item.command = { title: 'Open the bracket', command: OPEN_BRACKET, arguments: [text.slice(-1), item.command] };
    item.insertText = text.slice(0, -1);
  }
  return answer;
}

export async function openBracket(bracket: string, then?: Command): Promise<void> {
  await commands.executeCommand('type', { text: bracket });
  if (then) await commands.executeCommand(then.command, ...then.arguments ?? []);
}
