// The `multiline: "firstLine"` setting: show how many lines are hidden and, once the first is accepted, the others.
import {
  type CancellationToken, type Command, commands, type Disposable, type InlineCompletionItem, type InlineCompletionList,
  type Position, Range, type TextDocument, type TextEditorDecorationType, ThemeColor, window, workspace,
} from 'vscode';

/** Command that runs when the first line is accepted: runs the suggestion's own command, then shows the other lines. */
const SHOW_REST = 'tinycopilot.showRest';
/** Command: hides a suggestion and its `+2 lines`. */
const DISMISS = 'tinycopilot.dismiss';

type Items = InlineCompletionItem[] | InlineCompletionList | null | undefined;

/** `+2 lines` after the ghost text. It is a decoration, since accepting would insert it if it were ghost text. */
let hint: TextEditorDecorationType | undefined;
let isShown = false;

/** Number of lines that the server hides if `tinycopilot.multiline` is "firstLine". */
function hiddenLines(item: InlineCompletionItem | undefined): number {
  const n: unknown = item?.command?.arguments?.[1];
  return typeof n === 'number' ? n : 0;
}

/** Shows how many lines of a suggestion are hidden; accepting it then shows them. */
export function withMoreLines<Answer extends Items>(answer: Answer, document: TextDocument, position: Position, token: CancellationToken): Answer {
  if (token.isCancellationRequested) return answer;
  const items = Array.isArray(answer) ? answer : answer?.items ?? [];
  const editor = window.activeTextEditor?.document === document ? window.activeTextEditor : undefined;
  const n = hiddenLines(items[0]);
  clear();
  if (editor && hint && n > 0 && position.line < document.lineCount) {
    const end = document.lineAt(position.line).range.end;
    const contentText = n === 1 ? '+1 line' : `+${n} lines`;
    editor.setDecorations(hint, [{ range: new Range(end, end), renderOptions: { after: { contentText } } }]);
    setShown(true);
  }
  for (const item of items) {
    if (hiddenLines(item) > 0) item.command = { title: 'Show the rest', command: SHOW_REST, arguments: [item.command] };
  }
  return answer;
}

function setShown(value: boolean): void {
  isShown = value;
  void commands.executeCommand('setContext', 'tinycopilot.hidesLines', value);
}

function clear(): void {
  if (!isShown || !hint) return;
  for (const editor of window.visibleTextEditors) editor.setDecorations(hint, []);
  setShown(false);
}

async function showRest(then?: Command): Promise<void> {
  if (then) await commands.executeCommand(then.command, ...then.arguments ?? []);
  await commands.executeCommand('editor.action.inlineSuggest.trigger');
}

async function dismiss(): Promise<void> {
  clear();
  await commands.executeCommand('editor.action.inlineSuggest.hide');
}

/** Registers commands and listeners. `+2 lines` is hidden whenever its suggestion may be hidden. */
export function multiline(): Disposable[] {
  hint = window.createTextEditorDecorationType({
    after: { color: new ThemeColor('editorGhostText.foreground'), margin: '0 0 0 1.5em' },
  });
  return [
    hint,
    commands.registerCommand(SHOW_REST, showRest),
    commands.registerCommand(DISMISS, dismiss),
    workspace.onDidChangeTextDocument(({ contentChanges }) => {
      if (contentChanges.length > 0) clear();  // saving sends an event without changes
    }),
    window.onDidChangeTextEditorSelection(clear),
    window.onDidChangeActiveTextEditor(clear),
  ];
}
