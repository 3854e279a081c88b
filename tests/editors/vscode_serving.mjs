// Checks of the menu, dialogs and settings in VS Code. Run by vscode_ghost_text.mjs.
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { assertEqual } from './vscode_page.mjs';

/** Whether no ghost text is visible one second after a key. */
async function isSilent(example) {
  await example.retypeLastKey();
  await example.editor.page.waitForTimeout(1000);
  return await example.editor.ghostText() === '';
}

/** Waits for a dialog; returns its text, and the button that Enter presses. */
async function waitForDialog({ editor }, part) {
  const box = editor.page.locator('.monaco-dialog-box');
  await editor.waitFor(`a dialog with "${part}"`, 10, async () => await box.count() > 0 && (await box.textContent()).includes(part));
  const button = editor.page.locator('.monaco-dialog-box .monaco-button:focus');
  await editor.waitFor('a focused button', 5, async () => await button.count() === 1);
  return { text: await box.textContent(), focused: (await button.textContent()).trim() };
}

/** Presses Enter in the dialog, or clicks a button. */
async function closeDialog({ editor }, button) {
  const box = editor.page.locator('.monaco-dialog-box');
  if (button) await box.locator('.monaco-button', { hasText: button }).click();
  else await editor.press('Enter');
}

async function waitForDialogClosed({ editor }) {
  await editor.waitFor('closed dialog', 10, async () => await editor.page.locator('.monaco-dialog-box').count() === 0);
}

/** Opens the statistics, closes them with Enter, and returns their text. */
async function statistics(example) {
  await example.editor.command('tinycopilot: Statistics');
  const { text, focused } = await waitForDialog(example, 'tinycopilot: statistics');
  assertEqual('the focused button', focused, 'Close');
  await closeDialog(example);
  await waitForDialogClosed(example);
  return text;
}

export const SERVING = {
  /** The page that explains the last suggestion is drawn beside the editor. */
  async why(example) {
    await example.ghostTextInCopy('why');
    const { page } = example.editor;
    await example.editor.command('tinycopilot: Explain the last suggestion');
    const frame = await example.editor.waitFor('the panels of the page', 60, async () => {
      for (const candidate of page.frames()) if (await candidate.locator('html[data-ready]').count().catch(() => 0)) return candidate;
      return undefined;
    });
    assertEqual('a verdict', /is shown, at a confidence/.test(await frame.locator('#decision-body .verdict').textContent()), true);
    assertEqual('heads', await frame.locator('.heads label').count() > 0, true);
    await page.keyboard.press('Control+w');
    await example.editor.waitFor('closed page', 20, async () => frame.isDetached());
    await page.waitForTimeout(500);  // until the editor has the focus and the whole width
    return 'the page that explains the last suggestion is drawn beside the editor';
  },

  async dialogs(example) {
    await example.ghostTextInCopy('dialogs');
    const counted = /suggestions,/;
    if (!counted.test(await statistics(example))) throw new Error('no suggestions are counted');
    if (!counted.test(await statistics(example))) throw new Error('Enter deleted the statistics');
    for (const button of [undefined, 'Delete']) {  // first Enter, which keeps the statistics
      await example.editor.command('tinycopilot: Statistics');
      await waitForDialog(example, 'tinycopilot: statistics');
      await closeDialog(example, 'Delete…');
      assertEqual('the focused button', (await waitForDialog(example, 'Delete the statistics?')).focused, 'Keep');
      await closeDialog(example, button);
      await waitForDialogClosed(example);
      assertEqual('whether statistics exist', counted.test(await statistics(example)), !button);
    }
    await example.editor.command('tinycopilot: Forget this workspace');
    assertEqual('the focused button', (await waitForDialog(example, 'Forget this workspace?')).focused, 'Keep');
    await closeDialog(example);
    await waitForDialogClosed(example);
    await example.editor.page.waitForTimeout(1000);
    const messages = await example.editor.page.locator('.notification-list-item').allTextContents();
    if (messages.some(text => text.includes('forgot'))) throw new Error(`Enter forgot the workspace: ${messages}`);
    return 'Enter deletes nothing, and deletions are confirmed';
  },

  async menu(example) {
    const { editor } = example;
    const rows = editor.page.locator('.quick-input-list .monaco-list-row');
    await editor.item.first().click();
    await editor.waitFor('the menu', 10, async () => await rows.count() > 5);
    const title = await editor.page.locator('.quick-input-title').textContent();
    const labels = (await rows.allTextContents()).join('\n');
    await example.takeMenuScreenshot();
    await editor.press('Escape');
    assertEqual('title', title, 'tinycopilot: ready');
    for (const label of ['Pause suggestions', 'Turn off for python', 'Statistics', 'Train on this workspace']) {
      if (!labels.includes(label)) throw new Error(`"${label}" is missing in the menu:\n${labels}`);
    }
    if (labels.includes('Resume')) throw new Error('"Resume" is in the menu, although suggestions are not paused');
    return 'a click on the status bar item opens the menu';
  },

  async pause(example) {
    const { editor } = example;
    await example.ghostTextInCopy('pause');
    await editor.command('tinycopilot: Pause suggestions');
    await editor.waitForStatus('off');
    await editor.assertNoGhostText('it is paused');
    await example.retypeLastKey();
    await editor.assertNoGhostText('it is still paused');
    await editor.command('tinycopilot: Resume suggestions');
    await editor.waitForStatus('ready');
    await example.retypeLastKey();
    return `no suggestions while paused; after resuming: ${JSON.stringify(await editor.stableGhostText())}`;
  },

  async onDemand(example) {
    const { editor } = example;
    await example.ghostTextInCopy('on_demand');
    await editor.command('tinycopilot: Toggle on-demand suggestions');
    await editor.waitForStatus('on demand');
    if (!await isSilent(example)) throw new Error(`ghost text without a request: ${JSON.stringify(await editor.ghostText())}`);
    await editor.press('Alt+\\');
    const ghost = await editor.stableGhostText(5);
    await editor.type(ghost[0]);
    await editor.waitFor('the rest after a typed character', 5, async () => await editor.ghostText() === ghost.slice(1));
    await editor.press('Tab');
    await editor.waitForChange('accepting with Tab');
    await editor.press('Enter');
    await editor.type('x');
    await editor.assertNoGhostText('the suggestion was accepted');
    await editor.command('tinycopilot: Toggle on-demand suggestions');
    await editor.waitForStatus('ready');
    return `nothing before Alt+\\; then ${JSON.stringify(ghost)}, which stays while it is typed`;
  },

  async snooze(example) {
    const { editor } = example;
    await example.ghostTextInCopy('snooze');
    const endTime = async () => (await editor.item.first().locator('[aria-label]').first().getAttribute('aria-label')).match(/until (\d+):(\d+)/);
    await editor.command('tinycopilot: Snooze for 5 minutes');
    await editor.waitForStatus('off');
    const first = await editor.waitFor('the end time in the status bar', 5, endTime);
    await editor.command('tinycopilot: Snooze for 5 minutes');
    const minutes = ([, hours, minutes]) => 60 * hours + Number(minutes);
    await editor.waitFor('an end time five minutes later', 5, async () => [5, 5 - 12 * 60, 5 - 24 * 60].includes(minutes(await endTime()) - minutes(first)));
    await editor.command('tinycopilot: Resume suggestions');
    await editor.waitForStatus('ready');
    return 'a second snooze extends the first';
  },

  async settings(example) {
    const { editor } = example;
    await example.ghostTextInCopy('settings');
    const server = example.server().pid;
    const file = join(dirname(editor.file), '.vscode', 'settings.json');
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, '{ "tinycopilot.inline": false }');
    await editor.waitFor('no ghost text', 30, () => isSilent(example));
    writeFileSync(file, '{ "tinycopilot.serverCommand": ["/bin/false"] }');  // ignored: only the user's setting may name a program
    await editor.waitFor('ghost text', 30, async () => !await isSilent(example));
    assertEqual('server process', example.server().pid, server);
    return 'the workspace setting tinycopilot.inline applies at once; tinycopilot.serverCommand in the workspace is ignored';
  },

  async tabCompletion(example) {
    const { editor } = example;
    const lines = ['one', 'two', 'six'].map(name => `    reading_${name} = read_${name}(path)\n    print('it is so')\n`).join('');
    const program = `def read(path):\n${lines}    reading_ten = read_ten(path)\n    `;
    const results = [];
    for (const setting of ['off', 'on', 'onlySnippets']) {
      const file = join(dirname(editor.file), '.vscode', 'settings.json');
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, JSON.stringify({ 'editor.tabCompletion': setting }));
      await editor.open(`tab_${setting}.py`, program);
      await editor.command('Trigger Inline Suggestion');
      const ghost = await editor.stableGhostText();
      await editor.press('Tab');
      await editor.waitForChange('Tab');
      const added = (await editor.savedText()).slice(program.length);
      if (!added.startsWith(ghost)) throw new Error(`Tab after leading whitespace, ${setting}: got ${JSON.stringify(added)}, expected ${JSON.stringify(ghost)}`);
      results.push(setting);
    }
    writeFileSync(join(dirname(editor.file), '.vscode', 'settings.json'), '{}');
    return `Tab after leading whitespace accepts, with editor.tabCompletion ${results.join(', ')}`;
  },
};
