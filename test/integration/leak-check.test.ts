import { spawn, spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { LeakCheck, cleanUp, describeLeaks } from '../support/leak-check';
import { removeFolder, temporaryFolder } from '../support/temporary-folder';

// Deliberate leaks: the check that guards every other test must itself see what it is for.
describe('the leak check', () => {
  test('finds a supervisor that outlived its test, and ends it', async () => {
    const folder = temporaryFolder();
    const program = join(folder, 'dinghy-supervisor');
    copyFileSync('/bin/sleep', program);
    const check = new LeakCheck();
    const child = spawn(program, ['60'], { detached: true, stdio: 'ignore' });
    const ended = new Promise((resolve) => child.once('exit', resolve));
    const leaks = await check.leaks(200);
    expect(leaks).toEqual([{ kind: 'process', id: expect.stringMatching(/^\d+ dinghy-supervis/) }]);
    expect(describeLeaks(leaks)).toContain(`process: ${child.pid} dinghy-supervis`);
    cleanUp(leaks);
    await ended;
    removeFolder(folder);
    expect(await check.leaks(2000)).toEqual([]);
  });

  test('finds a temporary folder and removes it', async () => {
    const check = new LeakCheck();
    const folder = temporaryFolder();
    const leaks = await check.leaks(0);
    expect(leaks).toEqual([{ kind: 'temporary folder', id: folder }]);
    cleanUp(leaks);
    expect(await check.leaks(0)).toEqual([]);
  });

  test('finds a run-time folder', async () => {
    const check = new LeakCheck();
    mkdirSync('/run/dinghy-leak-check-test/abcdef', { recursive: true });
    const leaks = await check.leaks(0);
    removeFolder('/run/dinghy-leak-check-test');
    expect(leaks).toEqual([{ kind: 'run-time folder', id: '/run/dinghy-leak-check-test/abcdef' }]);
  });

  test('does not blame anybody for what was there before', async () => {
    const folder = temporaryFolder();
    const check = new LeakCheck();
    expect(await check.leaks(0)).toEqual([]);
    removeFolder(folder);
  });

  test('fails the very test that leaves something, and the file for what no test left', () => {
    const folder = temporaryFolder();
    const repository = join(__dirname, '..', '..');
    const leak = `require('node:fs').mkdtempSync(${JSON.stringify(join(tmpdir(), 'dinghy-deliberate-'))})`;
    writeFileSync(
      join(folder, 'leaks.test.js'),
      `test('is innocent', () => {});\ntest('leaves a folder', () => { ${leak}; });\nafterAll(() => { ${leak}; });\n`,
    );
    const config = {
      rootDir: folder,
      testEnvironment: join(repository, 'test/support/kernel-environment.ts'),
      transform: { '\\.ts$': join(repository, 'node_modules/@swc/jest') },
    };
    const jest = spawnSync(
      process.execPath,
      [join(repository, 'node_modules/jest/bin/jest.js'), '--json', '-i', '--config', JSON.stringify(config)],
      { encoding: 'utf8', cwd: folder },
    );
    removeFolder(folder);
    const report = JSON.parse(jest.stdout) as {
      testResults: { message: string; assertionResults: { title: string; status: string }[] }[];
    };
    expect(report.testResults[0]?.assertionResults).toMatchObject([
      { title: 'is innocent', status: 'passed' },
      { title: 'leaves a folder', status: 'failed' },
    ]);
    expect(report.testResults[0]?.message.match(/temporary folder: .*dinghy-deliberate-/g)).toHaveLength(2);
    expect(jest.status).toBe(1);
  });

  test('gives the kernel its moment', async () => {
    const check = new LeakCheck();
    const folder = temporaryFolder();
    setTimeout(() => removeFolder(folder), 200);
    expect(await check.leaks(2000)).toEqual([]);
  });
});
