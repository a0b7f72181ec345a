import { readdirSync } from 'node:fs';
import { join } from 'node:path';

import type { RuntimeExecOptions } from '../../lib';
import { TestBed } from '../support/busybox';

let bed: TestBed;
beforeEach(async () => {
  bed = await TestBed.make();
});
afterEach(async () => {
  await bed.remove();
});

async function sh(script: string, seccomp: unknown, more: object = {}): Promise<string> {
  const options = { network: 'none', ...more, ...(seccomp === undefined ? {} : { seccomp }) } as RuntimeExecOptions;
  const { stdout, stderr, signal } = await bed.runtime.exec(bed.busybox, ['sh', '-c', script], {
    ...options,
    encoding: 'utf8',
  });
  return `${stdout}${stderr}${signal ?? ''}`.trim();
}

const blocks = (names: string[], action: object): object => ({
  defaultAction: 'SCMP_ACT_ALLOW',
  syscalls: [{ names, ...action }],
});

test('a call that the profile refuses fails as it says; the others work, also in exec', async () => {
  const noFolders = blocks(['mkdir', 'mkdirat'], { action: 'SCMP_ACT_ERRNO', errnoRet: 38 });
  expect(await sh('echo one; mkdir /d', noFolders)).toBe(
    "one\nmkdir: can't create directory '/d': Function not implemented",
  );
  const container = await bed.runtime.run(bed.busybox, {
    network: 'none',
    command: ['sleep', '60'],
    seccomp: noFolders as never,
  });
  const inside = await container.exec(['mkdir', '/d']);
  expect(inside).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('Function not implemented') as string });
  await container.restart({ timeoutMs: 0 });
  expect((await container.exec(['mkdir', '/d'])).exitCode).toBe(1);
  await container.close();
  // It was compiled once, and nothing of the compilation is left.
  expect(readdirSync(join(bed.root, 'seccomp'))).toEqual([expect.stringMatching(/^[0-9a-f]{64}\.bpf$/)]);
});

test('arguments decide, and conditions on one argument twice are alternatives', async () => {
  const signal = (...values: number[]): object => ({
    names: ['kill', 'tkill', 'tgkill'],
    action: 'SCMP_ACT_ERRNO',
    args: values.map((value) => ({ index: 1, value, op: 'SCMP_CMP_EQ' })),
  });
  const profile = { defaultAction: 'SCMP_ACT_ALLOW', syscalls: [signal(10, 12)] };
  const script =
    'sleep 9 & for s in USR1 USR2 TERM; do kill -$s $! 2>/dev/null && echo $s sent || echo $s refused; done';
  expect(await sh(script, profile)).toBe('USR1 refused\nUSR2 refused\nTERM sent');
});

test('killing ends the program with SIGSYS', async () => {
  expect(await sh('mkdir /d', blocks(['mkdir', 'mkdirat'], { action: 'SCMP_ACT_KILL_PROCESS' }))).toMatch(
    /^Bad system call|SIGSYS$/,
  );
});

test('a profile that allows nothing ends the start with an error, and nothing is left', async () => {
  const nothing = { defaultAction: 'SCMP_ACT_ERRNO', syscalls: [] };
  await expect(sh('true', nothing)).rejects.toMatchObject({ code: expect.stringMatching(/^ERR_/) as string });
  expect(await bed.runtime.containers({ all: true })).toEqual([]);
});

test('a privileged container has no filter unless one is asked for', async () => {
  const filter = 'grep ^Seccomp: /proc/self/status';
  expect(await sh(filter, undefined, { privileged: true })).toMatch(/\s0$/);
  expect(await sh(filter, 'default', { privileged: true })).toMatch(/\s2$/);
  expect(
    await sh('mkdir /d', blocks(['mkdir', 'mkdirat'], { action: 'SCMP_ACT_ERRNO' }), { privileged: true }),
  ).toContain('Operation not permitted');
});

test('what no profile may be is refused before anything is made', async () => {
  await expect(sh('true', { defaultAction: 'SCMP_ACT_NOTIFY' })).rejects.toMatchObject({ code: 'ERR_INVALID_OPTION' });
  await expect(sh('true', 'strict')).rejects.toMatchObject({ code: 'ERR_INVALID_OPTION' });
});
