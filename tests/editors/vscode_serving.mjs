// Checks of the server in real VS Code: menu, settings, several windows, crashes, training. Run by vscode_ghost_text.mjs.
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { same } from './vscode_page.mjs';
import { servers } from './vscode_servers.mjs';

/** Types the last character again, for another request. */
async function again({ editor }) {
  await editor.press('Backspace');
  await editor.type('i');
}

/** Whether no ghost text is visible a second after a key. */
async function isSilent(example) {
  await again(example);
  await example.editor.page.waitForTimeout(1000);
  return await example.editor.ghostText() === '';
}

/** The open dialogue: its text, and the button that Enter presses. */
async function dialogue({ editor }, part) {
  const box = editor.page.locator('.monaco-dialog-box');
  await editor.until(`a dialogue with "${part}"`, 10, async () => await box.count() > 0 && (await box.textContent()).includes(part));
  const button = editor.page.locator('.monaco-dialog-box .monaco-button:focus');
  await editor.until('a button with the focus', 5, async () => await button.count() === 1);
  return { text: await box.textContent(), focused: (await button.textContent()).trim() };
}

/** Answers the dialogue with Enter, or with a click on a button. */
async function answer({ editor }, button) {
  const box = editor.page.locator('.monaco-dialog-box');
  if (button) await box.locator('.monaco-button', { hasText: button }).click();
  else await editor.press('Enter');
}

async function noDialogue({ editor }) {
  await editor.until('the dialogue closed', 10, async () => await editor.page.locator('.monaco-dialog-box').count() === 0);
}

/** The text of the statistics dialogue, which Enter closes. */
async function statistics(example) {
  await example.editor.command('tinycopilot: Statistics');
  const { text, focused } = await dialogue(example, 'tinycopilot: statistics');
  same('the focused button', focused, 'Close');
  await answer(example);
  await noDialogue(example);
  return text;
}

export const SERVING = {
  /** The page beside the editor draws its panels there, and the cut moves with the slider. */
  async why(example) {
    await example.suggested('why');
    const { page } = example.editor;
    await example.editor.command('tinycopilot: Explain the last suggestion');
    const frame = await example.editor.until('the panels of the page', 60, async () => {
      for (const one of page.frames()) if (await one.locator('html[data-ready]').count().catch(() => 0)) return one;
      return undefined;
    });
    same('a verdict', /is shown, at a confidence/.test(await frame.locator('#decision-body .verdict').textContent()), true);
    same('heads', await frame.locator('.heads label').count() > 0, true);
    await page.keyboard.press('Control+w');
    await example.editor.until('the page is closed', 20, async () => frame.isDetached());
    await page.waitForTimeout(500);  // the editor beside it takes its place and the focus
    return 'the page about the last suggestion is drawn beside the editor';
  },

  async dialogues(example) {
    await example.suggested('dialogues');
    const counted = /suggestions,/;
    if (!counted.test(await statistics(example))) throw new Error('nothing was counted');
    if (!counted.test(await statistics(example))) throw new Error('Enter deleted the statistics');
    for (const last of [undefined, 'Delete']) {  // Enter first, which keeps them
      await example.editor.command('tinycopilot: Statistics');
      await dialogue(example, 'tinycopilot: statistics');
      await answer(example, 'Delete…');
      same('the focused button', (await dialogue(example, 'Delete the statistics?')).focused, 'Keep');
      await answer(example, last);
      await noDialogue(example);
      same('whether statistics are left', counted.test(await statistics(example)), !last);
    }
    await example.editor.command('tinycopilot: Forget this workspace');
    same('the focused button', (await dialogue(example, 'Forget this workspace?')).focused, 'Keep');
    await answer(example);
    await noDialogue(example);
    await example.editor.page.waitForTimeout(1000);
    const messages = await example.editor.page.locator('.notification-list-item').allTextContents();
    if (messages.some(text => text.includes('forgot'))) throw new Error(`Enter forgot the workspace: ${messages}`);
    return 'Enter deletes nothing in any of them, and what is deleted is asked for twice';
  },

  async menu(example) {
    const { editor } = example;
    const rows = editor.page.locator('.quick-input-list .monaco-list-row');
    await editor.item.first().click();
    await editor.until('the menu', 10, async () => await rows.count() > 5);
    const title = await editor.page.locator('.quick-input-title').textContent();
    const labels = (await rows.allTextContents()).join('\n');
    await example.menuPicture();
    await editor.press('Escape');
    same('its title', title, 'tinycopilot: ready');
    for (const label of ['Pause suggestions', 'Turn off for python', 'Statistics', 'Train on this workspace']) {
      if (!labels.includes(label)) throw new Error(`"${label}" is missing in\n${labels}`);
    }
    if (labels.includes('Resume')) throw new Error('it offers to resume what is not paused');
    return 'a click on the status bar opens it';
  },

  async pause(example) {
    const { editor } = example;
    await example.suggested('pause');
    await editor.command('tinycopilot: Pause suggestions');
    await editor.state('off');
    await editor.noGhostText('it is paused');
    await again(example);
    await editor.noGhostText('it is paused, and typed on');
    await editor.command('tinycopilot: Resume suggestions');
    await editor.state('ready');
    await again(example);
    return `silent when paused; resumed: ${JSON.stringify(await editor.settledGhostText())}`;
  },

  async onDemand(example) {
    const { editor } = example;
    await example.suggested('on_demand');
    await editor.command('tinycopilot: Toggle on-demand suggestions');
    await editor.state('on demand');
    if (!await isSilent(example)) throw new Error(`unasked: ${JSON.stringify(await editor.ghostText())}`);
    await editor.press('Alt+\\');
    const ghost = await editor.settledGhostText(5);
    await editor.type(ghost[0]);
    await editor.until('the rest after a typed character', 5, async () => await editor.ghostText() === ghost.slice(1));
    await editor.press('Tab');
    await editor.changed('accepting with Tab');
    await editor.press('Enter');
    await editor.type('x');
    await editor.noGhostText('it was accepted');
    await editor.command('tinycopilot: Toggle on-demand suggestions');
    await editor.state('ready');
    return `nothing unasked; with Alt+\\ ${JSON.stringify(ghost)}, which stays while it is typed`;
  },

  async snooze(example) {
    const { editor } = example;
    await example.suggested('snooze');
    const until = async () => (await editor.item.first().locator('[aria-label]').first().getAttribute('aria-label')).match(/until (\d+):(\d+)/);
    await editor.command('tinycopilot: Snooze for 5 minutes');
    await editor.state('off');
    const first = await editor.until('the end of the snooze', 5, until);
    await editor.command('tinycopilot: Snooze for 5 minutes');
    const minutes = ([, hours, minutes]) => 60 * hours + Number(minutes);
    await editor.until('a snooze of ten minutes', 5, async () => [5, 5 - 12 * 60, 5 - 24 * 60].includes(minutes(await until()) - minutes(first)));
    await editor.command('tinycopilot: Resume suggestions');
    await editor.state('ready');
    return 'two snoozes add up to ten minutes';
  },

  async settings(example) {
    const { editor } = example;
    await example.suggested('settings');
    const server = example.server().pid;
    const file = join(dirname(editor.file), '.vscode', 'settings.json');
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, '{ "tinycopilot.inline": false }');
    await editor.until('silence', 30, () => isSilent(example));
    writeFileSync(file, '{ "tinycopilot.serverCommand": ["/bin/false"] }');  // only the user's own counts
    await editor.until('suggestions again', 30, async () => !await isSilent(example));
    same('the server', example.server().pid, server);
    return 'tinycopilot.inline off in the workspace: silent; on: not; the server stays, whichever the workspace names';
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
      const ghost = await editor.settledGhostText();
      await editor.press('Tab');
      await editor.changed('Tab');
      const added = (await editor.savedText()).slice(program.length);
      if (!added.startsWith(ghost)) throw new Error(`Tab behind blanks, ${setting}: ${JSON.stringify(added)}, not ${JSON.stringify(ghost)}`);
      results.push(setting);
    }
    writeFileSync(join(dirname(editor.file), '.vscode', 'settings.json'), '{}');
    return `Tab behind blanks accepts, with editor.tabCompletion ${results.join(', ')}`;
  },

  async windows(example) {
    const { editor, port } = example;
    const mine = example.server().pid;
    const n = servers(port).length;
    const second = await example.window('second.py');
    try {
      await second.begin();
      await second.type(example.lastKeys);
      await second.settledGhostText();
      await editor.page.bringToFront();
      await example.suggested('first');
    } finally {
      await second.close();
    }
    await editor.until('the end of its server', 30, () => servers(port).length === n);
    await editor.page.bringToFront();
    const ghost = await example.suggested('alone');
    same('the server', example.server().pid, mine);
    return `two on one folder, each with its server; the other one closed, still ${JSON.stringify(ghost)}`;
  },

  async killed(example) {
    const { editor } = example;
    await example.suggested('killed');
    const before = example.server().pid;
    await editor.saying(['tinycopilot', 'tinycopilot: ready'], () => process.kill(before, 'SIGKILL'));
    if (example.server().pid === before) throw new Error('the same server runs');
    await again(example);
    return `the server killed: another one comes, and suggests ${JSON.stringify(await editor.settledGhostText())}`;
  },

  async killedOften(example) {
    const { editor } = example;
    const text = async () => editor.item.first().textContent();
    let n = 0;
    while ((await text()).includes('ready')) {
      process.kill(example.server().pid, 'SIGKILL');
      n++;
      await editor.until('the status bar saying something else', 20, async () => !(await text()).includes('ready'));
      await editor.until('an end of the loading', 60, async () => /ready|error/.test(await text()));
    }
    await editor.message('The server stopped five times in three minutes.');
    same('a server that runs', example.server(), undefined);
    await editor.saying(['tinycopilot', 'tinycopilot: ready'], () => editor.command('tinycopilot: Restart the server'));
    return `killed ${n} times more: it stays away, says so, and comes when it is told to`;
  },

  async restarted(example) {
    const { editor, port } = example;
    const mine = () => servers(port).filter(({ host }) => host === example.host);
    for (let n = 0; n < 3; n++) await editor.command('tinycopilot: Restart the server');
    await editor.until('one server, and it is ready', 30, async () =>
      (await editor.item.first().textContent()).includes('ready') && mine().length === 1);
    await example.suggested('restarted');
    same('how many servers run', mine().length, 1);
    return 'restarted while it starts: one server is left, and suggests';
  },
};
