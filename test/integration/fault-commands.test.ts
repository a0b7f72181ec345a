import { readdirSync } from 'node:fs';
import { join } from 'node:path';

import type { Container } from '../../lib';
import { busyboxImage, TestBed } from '../support/busybox';

// Commands that cannot run are told as Docker tells them, at start and by exec, and the container of the start is gone.

let bed: TestBed;
let image: string;
beforeAll(async () => {
  bed = await TestBed.make();
  image = await bed.add(
    'test/commands:1',
    busyboxImage({ Cmd: null }, [
      { name: 'cases/', type: '5' },
      { name: 'cases/folder/', type: '5' },
      { name: 'cases/no-x', mode: 0o644, content: '#!/bin/sh\n' },
      { name: 'cases/other-machine', mode: 0o755, content: elfHeaderOfAnotherMachine() },
      { name: 'cases/no-interpreter', mode: 0o755, content: '#!/not/there\n' },
      { name: 'cases/link-to-nothing', type: '2', link: '/not/there' },
      { name: 'cases/loop', type: '2', link: 'loop' },
    ]),
  );
});
afterAll(async () => {
  await bed.remove();
});

const quiet = { network: 'none' } as const;
const notFound = { code: 'ERR_COMMAND_NOT_FOUND', exitCode: 127 };
const notExecutable = { code: 'ERR_COMMAND_NOT_EXECUTABLE', exitCode: 126 };

const cases: [what: string, program: string, told: typeof notFound][] = [
  ['a program that is nowhere in PATH', 'nothing-here', notFound],
  ['a path where nothing is', '/cases/nothing-here', notFound],
  ['a link to nothing', '/cases/link-to-nothing', notFound],
  ['a script whose interpreter is missing', '/cases/no-interpreter', notFound],
  ['a folder', '/cases/folder', notExecutable],
  ['a file without +x', '/cases/no-x', notExecutable],
  ['a program of another machine', '/cases/other-machine', notExecutable],
];

test.each(cases)('%s: refused at start, and nothing is left', async (_what, program, told) => {
  await expect(bed.runtime.run(image, { ...quiet, command: [program] })).rejects.toMatchObject({
    ...told,
    message: expect.stringContaining(program),
  });
  expect(readdirSync(join(bed.root, 'containers'))).toEqual([]);
});

describe('by exec', () => {
  let container: Container;
  beforeAll(async () => {
    container = await bed.runtime.run(image, { ...quiet, command: ['sleep', '1000'] });
  });
  afterAll(async () => {
    await container.close();
  });

  test.each(cases)('%s: refused, and the container runs on', async (_what, program, told) => {
    await expect(container.exec([program])).rejects.toMatchObject({
      ...told,
      message: expect.stringContaining(program),
    });
    expect((await container.inspect()).status).toBe('running');
    expect((await container.top()).length).toBe(1);
    expect((await container.exec(['echo', 'still'])).stdout).toBe('still\n');
  });

  test('no command at all is a bad option', async () => {
    await expect(container.exec([])).rejects.toMatchObject({ code: 'ERR_INVALID_OPTION' });
  });
});

test('neither a command nor one of the image: refused as a bad option before anything is made', async () => {
  for (const command of [undefined, []]) {
    await expect(bed.runtime.create(image, { ...quiet, ...(command && { command }) })).rejects.toMatchObject({
      code: 'ERR_INVALID_OPTION',
    });
  }
  expect(readdirSync(join(bed.root, 'containers'))).toEqual([]);
});

/** 64-bit, little-endian, executable, of a machine (SPARC V9, 43) that this is surely not. */
function elfHeaderOfAnotherMachine(): Buffer {
  const header = Buffer.alloc(128);
  header.write('\x7fELF\x02\x01\x01', 'latin1');
  header.writeUInt16LE(2, 16);
  header.writeUInt16LE(43, 18);
  header.writeUInt32LE(1, 20);
  header.writeUInt16LE(64, 52);
  return header;
}
