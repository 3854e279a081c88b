// A stub of the language server, for vscode_lifecycle.mjs.
//
//   node vscode_stub_server.mjs FOLDER
//
// While it runs, FOLDER/running has a file named after its process id. Files in FOLDER control it:
//   fails      it exits at startup
//   waits      it does not respond to `initialize`, and ignores SIGTERM, until the file is deleted
//   compiles   its status is "loading" until the file is deleted
//   secret     it reports that documents get no suggestions
//   torch      it reports that it can train
//   page.html  the page that explains the last suggestion
// The command that starts training creates FOLDER/trained.
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const COMMANDS = ['pause', 'resume', 'status', 'trainWorkspace', 'explain'];
const folder = process.argv[2];
if (existsSync(join(folder, 'fails'))) process.exit(3);
const running = join(folder, 'running', String(process.pid));
mkdirSync(join(folder, 'running'), { recursive: true });
writeFileSync(running, '');
process.on('exit', () => rmSync(running, { force: true }));
if (existsSync(join(folder, 'waits'))) process.on('SIGTERM', () => undefined);

function send(message) {
  const body = JSON.stringify({ jsonrpc: '2.0', ...message });
  process.stdout.write(`Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
}

async function respond({ id, method, params }) {
  if (method === 'exit') process.exit(0);
  if (method === 'initialize') {
    while (existsSync(join(folder, 'waits'))) await new Promise(resolve => setTimeout(resolve, 10));
    send({ id, result: { capabilities: { executeCommandProvider: { commands: COMMANDS.map(name => `tinycopilot.${name}`) } } } });
  } else if (method === 'initialized') {
    send({ method: 'tinycopilot/status', params: { state: 'loading', message: 'compiling, once on this machine' } });
    while (existsSync(join(folder, 'compiles'))) await new Promise(resolve => setTimeout(resolve, 10));
    send({ method: 'tinycopilot/status', params: { state: 'ready' } });
  } else if (method === 'workspace/executeCommand' || method === 'shutdown') {
    if (params?.command && params.command !== 'tinycopilot.status') send({ method: 'tinycopilot/status', params: { state: params.command.endsWith('pause') ? 'off' : 'ready' } });
    const page = join(folder, 'page.html');
    const result = params?.command === 'tinycopilot.status' ? { canTrain: existsSync(join(folder, 'torch')), silentHere: existsSync(join(folder, 'secret')) ? 'this file may contain secrets' : '' }
      : params?.command === 'tinycopilot.explain' ? { path: existsSync(page) ? page : '' } : null;
    if (params?.command === 'tinycopilot.trainWorkspace') {
      writeFileSync(join(folder, 'trained'), '');
      send({ method: 'tinycopilot/training', params: { state: 'running', message: 'loading', percentage: 0 } });
    }
    send({ id, result });
  }
}

let received = Buffer.alloc(0);
process.stdin.on('data', data => {
  received = Buffer.concat([received, data]);
  for (;;) {
    const end = received.indexOf('\r\n\r\n');
    const length = Number(/Content-Length: (\d+)/i.exec(received.subarray(0, Math.max(end, 0)).toString())?.[1]);
    if (end < 0 || received.length < end + 4 + length) return;
    void respond(JSON.parse(received.subarray(end + 4, end + 4 + length).toString()));
    received = received.subarray(end + 4 + length);
  }
});
