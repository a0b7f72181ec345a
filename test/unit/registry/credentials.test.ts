import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { credentialFiles, findCredentials, type RegistryAuth } from '../../../lib/registry/credentials';

let home: string;
const basic = (text: string): string => Buffer.from(text).toString('base64');

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), `dinghy-credentials-${process.pid}-`));
  mkdirSync(join(home, '.docker'));
  mkdirSync(join(home, 'run/containers'), { recursive: true });
  mkdirSync(join(home, 'bin'));
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

const env = (): NodeJS.ProcessEnv => ({
  XDG_RUNTIME_DIR: join(home, 'run'),
  PATH: `${join(home, 'bin')}:${process.env['PATH']}`,
});
const find = (registry: string, repository = 'team/app', signal?: AbortSignal): Promise<RegistryAuth | undefined> => {
  return findCredentials(registry, repository, { env: env(), home }, signal);
};
const docker = (content: object | string): void => {
  writeFileSync(join(home, '.docker/config.json'), typeof content === 'string' ? content : JSON.stringify(content));
};

function helper(name: string, script: string): void {
  const path = join(home, `bin/docker-credential-${name}`);
  writeFileSync(path, `#!/bin/sh\n${script}\n`);
  chmodSync(path, 0o755);
}

it('looks in the files of containers and of Docker, in this order', async () => {
  expect(credentialFiles({ env: env(), home }).map((path) => path.slice(home.length))).toEqual([
    '/run/containers/auth.json',
    '/.config/containers/auth.json',
    '/.docker/config.json',
    '/.dockercfg',
  ]);
  docker({ auths: { 'r.example': { auth: basic('docker:1') } } });
  expect(await find('r.example')).toEqual({ username: 'docker', password: '1' });
  writeFileSync(
    join(home, 'run/containers/auth.json'),
    JSON.stringify({ auths: { 'r.example': { auth: basic('first:2') } } }),
  );
  expect(await find('r.example')).toEqual({ username: 'first', password: '2' });
});

it('takes the most specific path', async () => {
  docker({
    auths: {
      'r.example': { auth: basic('a:a') },
      'r.example/team': { auth: basic('b:b') },
      'r.example/team/app/x': { auth: basic('c:c') },
    },
  });
  expect(await find('r.example')).toEqual({ username: 'b', password: 'b' });
  expect(await find('r.example', 'other')).toEqual({ username: 'a', password: 'a' });
  expect(await find('r.example:5000')).toBeUndefined();
});

it('knows Docker Hub by its old key, and reads every form of entry', async () => {
  docker({
    auths: {
      'https://index.docker.io/v1/': { auth: basic('u:p:q\0\0') },
      'https://i.example': { identitytoken: 'i' },
      'r.example': { registrytoken: 'r' },
    },
  });
  expect(await find('docker.io', 'library/nginx')).toEqual({ username: 'u', password: 'p:q' });
  expect(await find('i.example')).toEqual({ identityToken: 'i' });
  expect(await find('r.example')).toEqual({ registryToken: 'r' });
});

it('passes damaged files over', async () => {
  for (const content of [
    '',
    '[]',
    'null',
    '{"auths":[]}',
    '{"auths":{"r.example":{"auth":7}}}',
    '{"auths":{"r.example":{"auth":"bm9jb2xvbg=="}}}',
  ]) {
    docker(content);
    expect(await find('r.example')).toBeUndefined();
  }
});

it('asks helpers: one for a registry before the one for all', async () => {
  helper('one', 'read server; echo "{\\"Username\\":\\"$server\\",\\"Secret\\":\\"s\\"}"');
  helper('all', 'echo \'{"Username":"<token>","Secret":"t"}\'');
  helper('none', 'echo credentials not found in native keychain; exit 1');
  docker({ credHelpers: { 'r.example': 'one', 'n.example': 'none' }, credsStore: 'all' });
  expect(await find('r.example')).toEqual({ username: 'r.example', password: 's' });
  expect(await find('n.example')).toEqual({ identityToken: 't' });
});

it('says what is wrong with a helper, without its secret', async () => {
  helper('broken', 'echo \'{"Secret":"hunter2\'');
  helper('failing', 'exit 3');
  for (const [name, message] of [
    ['broken', /not JSON/],
    ['failing', /exited with 3/],
    ['absent', /ENOENT/],
    ['../x', /its name/],
  ] as const) {
    docker({ credsStore: name });
    const error = await find('r.example').catch((each: Error) => each);
    expect(error).toEqual(
      expect.objectContaining({ code: 'ERR_REGISTRY_AUTH', message: expect.stringMatching(message) }),
    );
    expect(JSON.stringify(error) + String((error as Error).cause)).not.toContain('hunter2');
  }
});

it('ends a helper that hangs when aborted', async () => {
  helper('slow', 'exec sleep 60');
  docker({ credsStore: 'slow' });
  await expect(find('r.example', 'a', AbortSignal.timeout(200))).rejects.toEqual(
    expect.objectContaining({ code: 'ABORT_ERR' }),
  );
});
