import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

import { parseReference } from '../../../lib/oci/reference';
import { type Endpoint, pullEndpoints, pushEndpoint } from '../../../lib/registry/endpoint';
import { readRegistriesConf } from '../../../lib/registry/registries-conf';
import { parseRegistriesConf } from '../../../lib/registry/registries-conf-parser';
import { removeFolder, temporaryFolder } from '../../support/temporary-folder';

let folder: string;
beforeEach(() => {
  folder = temporaryFolder('registries-conf');
});
afterEach(() => removeFolder(folder));

const digest = `sha256:${'a'.repeat(64)}`;
const places = (endpoints: Endpoint[]): string[] => endpoints.map(({ host, repository }) => `${host}/${repository}`);

function write(path: string, text: string): void {
  mkdirSync(dirname(join(folder, path)), { recursive: true });
  writeFileSync(join(folder, path), text);
}

async function options(text?: string, registries = {}, env: NodeJS.ProcessEnv = {}): Promise<never> {
  if (text !== undefined) {
    write('registries.conf', text);
    env = { ...env, CONTAINERS_REGISTRIES_CONF: join(folder, 'registries.conf') };
  }
  const conf = await readRegistriesConf({ HOME: folder, ...env });
  return { conf, registries, env, tlsFor: () => ({}) } as never;
}

async function pull(reference: string, text?: string, registries = {}): Promise<string[]> {
  return places(pullEndpoints(parseReference(reference), await options(text, registries)));
}

const example = `
unqualified-search-registries = ["other.example"]
short-name-mode = "enforcing"
[aliases]
"app" = "other.example/app"

[[registry]]
prefix = "example.com/team"
location = "inside.example:5000/bar"
mirror = [ { location = "m.example/cache" }, { location = "tags.example", pull-from-mirror = "tag-only" },
           { location = "digests.example", pull-from-mirror = "digest-only" } ]

[[registry]]
prefix = "example.com/team/own:9"
location = "own.example/team/own:10"

[[registry]]
prefix = "*.example.org"
[[registry.mirror]]
location = "all.example/org"

[[registry]]
prefix = "*.moved.org"
location = "moved.example"

[[registry]]
location = "docker.io"
mirror-by-digest-only = true
[[registry.mirror]]
location = "hub.example"

[[registry]]
prefix = "example.net/bad"
location = "example.net/bad"
blocked = true
`;

it.each([
  ['example.com/team/app:1', ['m.example/cache/app', 'tags.example/app', 'inside.example:5000/bar/app']],
  [`example.com/team/app@${digest}`, ['m.example/cache/app', 'digests.example/app', 'inside.example:5000/bar/app']],
  ['example.com/team/own:9', ['own.example/team/own']],
  ['example.com/team/own:90', ['m.example/cache/own', 'tags.example/own', 'inside.example:5000/bar/own']],
  ['example.com/teams/app', ['example.com/teams/app']],
  ['example.com:5000/team/app', ['example.com:5000/team/app']],
  ['a.b.example.org/x/y', ['all.example/org/x/y', 'a.b.example.org/x/y']],
  ['example.org/x', ['example.org/x']],
  ['badexample.org/x', ['badexample.org/x']],
  ['a.moved.org:5000/x', ['moved.example:5000/x']],
  ['nginx', ['registry-1.docker.io/library/nginx']],
  [`nginx@${digest}`, ['hub.example/library/nginx', 'registry-1.docker.io/library/nginx']],
  ['app', ['registry-1.docker.io/library/app']],
])('%s is asked for at %j', async (reference, expected) => {
  expect(await pull(reference, example)).toEqual(expected);
});

it('refuses what is blocked, and no more, for pulls and pushes', async () => {
  await expect(pull('example.net/bad/x', example)).rejects.toMatchObject({
    code: 'ERR_REGISTRY',
    message: 'example.net/bad is blocked by registries.conf',
  });
  expect(await pull('example.net/good/x', example)).toEqual(['example.net/good/x']);
  const settings = await options(example);
  expect(() => pushEndpoint(parseReference('example.net/bad/x'), settings)).toThrow(/blocked/);
});

it('sends pushes to the name itself', async () => {
  const endpoint = pushEndpoint(parseReference('example.com/team/app:1'), await options(example));
  expect(places([endpoint])).toEqual(['example.com/team/app']);
});

it('lets insecure hold for its own table and mirror alone', async () => {
  const text = `
    [[registry]]
    location = "i.example"
    insecure = true
    [[registry.mirror]]
    location = "m1.example"
    [[registry.mirror]]
    location = "m2.example"
    insecure = true`;
  const endpoints = pullEndpoints(parseReference('i.example/x'), await options(text));
  expect(endpoints.map(({ host, insecure }) => [host, insecure])).toEqual([
    ['m1.example', false],
    ['m2.example', true],
    ['i.example', true],
  ]);
});

it('lets the settings of the Runtime go before', async () => {
  const registries = { 'docker.io': { mirrors: ['mine.example/cache'] } };
  expect(await pull(`nginx@${digest}`, example, registries)).toEqual([
    'mine.example/cache/library/nginx',
    'registry-1.docker.io/library/nginx',
  ]);
});

it("reads the user's file with the user's drop-ins, each replacing what came before by its prefix", async () => {
  const table = (prefix: string, location: string): string =>
    `[[registry]]\nprefix="${prefix}"\nlocation="${location}"\n`;
  write('.config/containers/registries.conf.d/20-b.conf', table('a.example', 'second.example'));
  write('.config/containers/registries.conf.d/10-a.conf', table('a.example', 'first.example'));
  write('.config/containers/registries.conf.d/30-c.ignored', table('a.example', 'ignored.example'));
  expect(await pull('a.example/x')).toEqual(['second.example/x']);
  write('.config/containers/registries.conf', table('a.example', 'main.example') + table('b.example', 'b2.example'));
  expect(await pull('a.example/x')).toEqual(['second.example/x']);
  expect(await pull('b.example/x')).toEqual(['b2.example/x']);
});

it('understands version 1', () => {
  const text = "[registries.insecure]\nregistries = ['i.example']\n[registries.block]\nregistries = ['b.example']\n";
  expect(parseRegistriesConf(text, 'x')).toEqual([
    { prefix: 'i.example', insecure: true, blocked: false, mirrors: [] },
    { prefix: 'b.example', insecure: false, blocked: true, mirrors: [] },
  ]);
});

it.each([
  ['[[registry', /not TOML/],
  ['[[registry]]\ninsecure = true', /neither prefix nor location/],
  ['[[registry]]\nprefix = "a.*.example"', /wildcard/],
  ['[[registry]]\nprefix = "*.example/x"', /wildcard/],
  ['[[registry]]\nlocation = "https://a.example"', /no scheme/],
  ['[[registry]]\nlocation = "a"\nblocked = "yes"', /blocked is neither/],
  ['registry = 3', /no array of tables/],
  ['[[registry]]\nlocation = "a"\n[[registry.mirror]]\ninsecure = true', /has no location/],
  ['[[registry]]\nlocation = "a"\n[[registry.mirror]]\nlocation = "b"\npull-from-mirror = "never"', /none of all/],
  [
    '[[registry]]\nlocation = "a"\nmirror-by-digest-only = true\n[[registry.mirror]]\nlocation = "b"\npull-from-mirror = "all"',
    /one is too much/,
  ],
])('refuses %j, naming the file', async (text, why) => {
  await expect(pull('nginx', text)).rejects.toMatchObject({
    code: 'ERR_INVALID_OPTION',
    message: expect.stringMatching(why),
    details: { path: join(folder, 'registries.conf') },
  });
});
