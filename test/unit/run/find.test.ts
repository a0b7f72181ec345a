import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import type { RunContext } from '../../../lib/run/context';
import { findContainer } from '../../../lib/run/find';
import { StorePaths } from '../../../lib/store/paths';
import { removeFolder, temporaryFolder } from '../../support/temporary-folder';

const folder = temporaryFolder('find');
const context: RunContext = { paths: new StorePaths(folder), state: join(folder, 'run'), provider: 'overlay' };
const first = `ab${'0'.repeat(62)}`;
const second = `ac${'0'.repeat(62)}`;

beforeAll(() => {
  mkdirSync(context.paths.names, { recursive: true });
  for (const [id, name] of [
    [first, 'boat'],
    [second, 'abc'],
  ] as const) {
    mkdirSync(context.paths.container(id), { recursive: true });
    writeFileSync(
      join(context.paths.container(id), 'container.json'),
      JSON.stringify({ id, name, rootfsProvider: 'overlay' }),
    );
    symlinkSync(id, context.paths.name(name));
  }
});
afterAll(() => removeFolder(folder));

const found = (text: string): string => findContainer(context, text).record.id;

test('by name, id, and start of an id; a name goes before an id', () => {
  expect([found('boat'), found(first), found('ab'), found('abc')]).toEqual([first, first, first, second]);
});

test('what fits several is refused, and what fits none is not found', () => {
  expect(() => found('a')).toThrow(
    expect.objectContaining({ code: 'ERR_AMBIGUOUS_ID', details: { matches: [first, second] } }),
  );
  for (const text of ['ad', 'nothing', '', '../..', 'boat/../boat', 'a\0']) {
    expect(() => found(text)).toThrow(expect.objectContaining({ code: 'ERR_CONTAINER_NOT_FOUND' }));
  }
});
