import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, lstatSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { ChildProgram } from '../support/child-program';
import { removeFolder, temporaryFolder } from '../support/temporary-folder';

// Layers that close folders and files to their own owner, made one by an ordinary user: a user id that no file of the host knows.
const uid = 64_123;
let folder: string;

beforeEach(() => {
  folder = temporaryFolder('closed');
  chmodSync(folder, 0o755);
});
afterEach(() => {
  removeFolder(folder);
});

/** The folder is this user's, with all in it: by its path in it, what a file holds and its mode, or the mode of a folder. */
function makeTree(name: string, entries: readonly (readonly [string, number, string?])[], group = uid): string {
  const root = join(folder, name);
  mkdirSync(root);
  for (const [path, , content] of entries) {
    if (content === undefined) mkdirSync(join(root, path));
    else writeFileSync(join(root, path), content);
  }
  for (const [path, mode] of [['.', 0o755] as const, ...entries].reverse()) {
    chownSync(join(root, path), uid, group);
    chmodSync(join(root, path), mode);
  }
  return root;
}

function squash(layers: readonly string[], group = uid): { target: string; finding: string } {
  const program = new ChildProgram(folder, 'squash-child');
  mkdirSync(program.root);
  chownSync(program.root, uid, group);
  chmodSync(program.root, 0o2700); // hands its group down
  const who = ['--reuid', String(uid), '--regid', String(uid), '--groups', String(group)];
  const { stdout, stderr } = spawnSync('setpriv', [...who, ...program.command(layers)], { encoding: 'utf8' });
  expect(stderr).toBe('');
  return JSON.parse(stdout) as { target: string; finding: string };
}

const modeOf = (path: string): string => (lstatSync(path).mode & 0o7777).toString(8);

test('what is closed is made one, closed as it was, and found to be right', () => {
  const below = makeTree('below', [
    ['priv', 0],
    ['priv/deep', 0],
    ['priv/deep/secret', 0, 'below'],
    ['priv/open', 0o644, 'open'],
    ['unread', 0, 'nobody reads this'],
  ]);
  const above = makeTree('above', [
    ['priv', 0o100],
    ['priv/deep', 0o200],
    ['priv/deep/more', 0o4000, 'above'],
  ]);
  const { target, finding } = squash([above, below]);
  expect(finding).toBe('none');
  const shown = ['priv', 'priv/deep', 'priv/deep/secret', 'priv/deep/more', 'priv/open', 'unread'];
  expect(shown.map((path) => `${path} ${modeOf(join(target, path))}`)).toEqual([
    'priv 100',
    'priv/deep 200',
    'priv/deep/secret 0',
    'priv/deep/more 4000',
    'priv/open 644',
    'unread 0',
  ]);
  expect(shown.slice(2).map((path) => readFileSync(join(target, path), 'utf8'))).toEqual([
    'below',
    'above',
    'open',
    'nobody reads this',
  ]);
  expect(lstatSync(join(target, 'priv/deep/secret'))).toMatchObject({ uid, gid: uid });
});

test('a root that its owner may not write in', () => {
  const layer = makeTree('layer', [['file', 0o444, 'x']]);
  chmodSync(layer, 0o555);
  const { target, finding } = squash([layer]);
  expect([modeOf(target), finding]).toEqual(['555', 'none']);
});

test('a data folder that hands down a group, for which the namespace has no number', () => {
  const group = 64_200;
  const layer = makeTree(
    'layer',
    [
      ['priv', 0o755],
      ['priv/file', 0o644, 'x'],
    ],
    group,
  );
  const { target, finding } = squash([layer], group);
  expect([readFileSync(join(target, 'priv/file'), 'utf8'), finding]).toEqual(['x', 'none']);
  expect(lstatSync(join(target, 'priv/file'))).toMatchObject({ uid, gid: group });
});
