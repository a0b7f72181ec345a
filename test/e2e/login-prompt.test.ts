import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { cliPath } from '../support/e2e';
import { TestRegistry } from '../support/registry';
import { removeFolder, temporaryFolder } from '../support/temporary-folder';

const folder = temporaryFolder('prompt');
let registry: TestRegistry;

beforeAll(async () => {
  registry = await TestRegistry.start();
});
beforeEach(() => {
  registry.reset();
  registry.faults = { auth: 'basic', username: 'me', password: 'pa ss' };
});
afterAll(async () => {
  await registry.stop();
  removeFolder(folder);
});

/** Runs `login` on a terminal of its own, types each answer when its question is there, and asks how the terminal is afterwards. */
async function login(answers: readonly [question: string, answer: string][]): Promise<string> {
  const command = `"${process.execPath}" "${cliPath}" login ${registry.host}; echo "status $?"; stty -a`;
  const env = { PATH: process.env['PATH'], HOME: folder, DOCKER_CONFIG: join(folder, 'docker'), TERM: 'xterm' };
  const terminal = spawn('script', ['-qefc', command, '/dev/null'], { env, stdio: ['pipe', 'pipe', 'inherit'] });
  const waiting = [...answers];
  let shown = '';
  terminal.stdout.setEncoding('utf8').on('data', (text: string) => {
    shown += text;
    const [question, answer] = waiting[0] ?? [];
    if (question !== undefined && shown.endsWith(question)) {
      waiting.shift();
      terminal.stdin.write(answer);
    }
  });
  await new Promise((resolve) => terminal.on('close', resolve));
  return shown;
}

test('asks for name and password on a terminal, and shows the name only', async () => {
  const shown = await login([
    ['Username: ', 'me\n'],
    ['Password: ', 'pa ss\r'],
  ]);
  expect(shown).toContain('Username: me\r\nPassword: \r\nLogin Succeeded\r\nstatus 0\r\n');
  expect(shown).toMatch(/[ ;]icanon .*[\s;]echo /s);
  const { auths } = JSON.parse(readFileSync(join(folder, 'docker/config.json'), 'utf8')) as { auths: object };
  expect(auths).toEqual({ [registry.host]: { auth: Buffer.from('me:pa ss').toString('base64') } });
});

test('leaves the terminal as it was after Ctrl-C', async () => {
  const shown = await login([
    ['Username: ', 'me\n'],
    ['Password: ', 'half\x03'],
  ]);
  expect(shown).toContain('Password: \r\nstatus 130\r\n');
  expect(shown).not.toContain('half');
  expect(shown).toMatch(/[ ;]icanon .*[\s;]echo /s);
  expect(registry.seen).toEqual([]);
});
