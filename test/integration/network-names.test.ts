import { spawnSync } from 'node:child_process';
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import type { Container, Network } from '../../lib';
import { busyboxImage, TestBed } from '../support/busybox';
import { ChildProgram, startProgram } from '../support/child-program';
import { NameServer } from '../support/name-server';
import { addressOf } from '../support/networks';
import { temporaryFolder, removeFolder } from '../support/temporary-folder';
import { until } from '../support/until';

// What is not a container's name goes to the host's own servers: tests ask for such names only where nothing is passed
// on, or where a server of theirs answers.

const fleetSize = Number(process.env['DINGHY_TEST_FLEET'] ?? 20);

const libraries = ['glibc', 'musl'] as const;
type Library = (typeof libraries)[number];

let bed: TestBed;
let image: string;
let programs: { name: string; mode: number; content: Buffer }[];

beforeAll(() => {
  const folder = temporaryFolder('lookup');
  const source = join(__dirname, '../support/lookup.c');
  programs = libraries.map((library) => {
    const compiler = library === 'musl' ? 'musl-gcc' : 'gcc';
    const program = join(folder, library);
    const { status, stderr } = spawnSync(compiler, ['-static', '-w', '-O1', '-o', program, source], {
      encoding: 'utf8',
    });
    if (status !== 0) throw new Error(`${compiler}: ${stderr}`);
    return { name: `bin/lookup-${library}`, mode: 0o755, content: readFileSync(program) };
  });
  removeFolder(folder);
});

beforeEach(async () => {
  bed = await TestBed.make();
  image = await bed.add('test/lookup:1', busyboxImage({}, programs));
});
afterEach(async () => {
  await bed.remove();
});

const start = (network: Network | string, name: string, options: object = {}): Promise<Container> =>
  bed.runtime.run(image, { network, name, command: ['sleep', '1000'], stopSignal: 'SIGKILL', ...options });

/** The lines that the library's resolver has for a name, or for an address. */
async function lookUp(container: Container, library: Library, ...names: string[]): Promise<string[]> {
  const { stdout } = await container.exec([`lookup-${library}`, ...names]);
  return stdout.split('\n').filter(Boolean);
}

/** What Node's own resolver, which asks 127.0.0.11 itself, says there; the code where it is an error. */
async function askInside(container: Container, method: string, ...args: string[]): Promise<unknown> {
  const { pid } = await container.inspect();
  const code = `
    const resolver = new (require('node:dns').Resolver)({ timeout: 8000, tries: 1 });
    resolver.setServers(['127.0.0.11']);
    resolver[process.argv[1]](...process.argv.slice(2), (error, found) => console.log(JSON.stringify(error?.code ?? found)));`;
  const { status, stdout, stderr } = spawnSync(
    'nsenter',
    ['-t', String(pid), '-n', process.execPath, '-e', code, '--', method, ...args],
    { encoding: 'utf8' },
  );
  if (status !== 0) throw new Error(stderr);
  return JSON.parse(stdout) as unknown;
}

/** A name server in the container's network, until the container ends. */
async function serveNames(container: Container, address: string, names: Record<string, string>): Promise<() => void> {
  const { pid } = await container.inspect();
  const program = new ChildProgram(join(bed.folder, `server-${container.name}`), 'name-server-child');
  const { child, ended } = startProgram([
    ...['nsenter', '-t', String(pid), '-n'],
    ...program.command([address, JSON.stringify(names)]),
  ]);
  await new Promise<void>((resolve, reject) => {
    child.stdout?.on('data', (text: Buffer) => text.includes('ready') && resolve());
    void ended.then(({ output }) => reject(new Error(output)));
  });
  return () => child.kill('SIGKILL');
}

test('a container is found by its name, its aliases, and its id', async () => {
  const network = await bed.runtime.createNetwork({ name: 'front', internal: true });
  const web = await start(network, 'Web-1', { aliases: ['www', 'shop.local'], hostname: 'other' });
  const address = await addressOf(web, 'front');
  const client = await start('front', 'client');
  const names = ['web-1', 'WEB-1', 'www', 'shop.local', web.id.slice(0, 12), 'web-1.front'];
  for (const library of libraries) {
    expect(await lookUp(client, library, ...names)).toEqual(names.map(() => address));
    expect(await lookUp(client, library, address)).toEqual(['Web-1.front']);
    // Itself, too.
    expect(await lookUp(client, library, 'client')).toEqual([await addressOf(client, 'front')]);
  }
  expect((await client.exec(['nslookup', 'www'])).stdout).toContain(`Address: ${address}`);
  expect(await askInside(client, 'resolve4', 'www')).toEqual([address]);
  // Of a name that is known what it does not have is no data, which is not the same as no such name.
  expect(await askInside(client, 'resolve6', 'www')).toBe('ENODATA');
  expect(await askInside(client, 'resolveMx', 'www')).toBe('ENODATA');
  expect(await askInside(client, 'resolve4', 'nobody')).toBe('ENOTFOUND');
  expect(await askInside(client, 'reverse', address)).toEqual(['Web-1.front']);
  expect(await askInside(client, 'resolve4', web.id)).toBe('EBADNAME'); // longer than a label may be
  const { gateway } = await network.inspect();
  expect(await askInside(client, 'resolve4', 'host.docker.internal')).toEqual([gateway]);
  expect((await client.exec(['cat', '/etc/resolv.conf'])).stdout).toMatch(
    /^nameserver 127\.0\.0\.11\n(search .*\n)?options (.* )?ndots:0\n$/,
  );
});

test('a name is there as soon as its container runs, and gone when it has ended, however it ends', async () => {
  await bed.runtime.createNetwork({ name: 'front', internal: true });
  const client = await start('front', 'client');
  for (let round = 0; round < 5; round++) {
    const web = await start('front', 'web');
    expect(await lookUp(client, 'musl', 'web')).toEqual([await addressOf(web, 'front')]);
    // The other way round: what runs first in a new container finds the others.
    const { stdout } = await bed.runtime.exec(image, ['lookup-musl', 'client', 'web'], { network: 'front' });
    expect(stdout.trim().split('\n')).toEqual([await addressOf(client, 'front'), await addressOf(web, 'front')]);
    await web.close();
    expect(await askInside(client, 'resolve4', 'web')).toBe('ENOTFOUND');
  }
  const web = await start('front', 'web');
  await web.stop();
  expect(await askInside(client, 'resolve4', 'web')).toBe('ENOTFOUND');
  await web.start();
  await web.rename('site');
  expect(await lookUp(client, 'glibc', 'site')).toEqual([await addressOf(web, 'front')]);
  expect(await askInside(client, 'resolve4', 'web')).toBe('ENOTFOUND');
  process.kill(supervisorOf(web), 'SIGKILL');
  await until('the name of a killed one is gone', async () => (await askInside(client, 'resolve4', 'site')) !== '');
  expect(await askInside(client, 'resolve4', 'site')).toBe('ENOTFOUND');
});

function supervisorOf({ id }: Container): number {
  const state = readFileSync(join(bed.root, 'containers', id, 'state.json'), 'utf8');
  return (JSON.parse(state) as { supervisorPid: number }).supervisorPid;
}

test('containers that share an alias are all found, and take turns', async () => {
  await bed.runtime.createNetwork({ name: 'front', internal: true });
  const client = await start('front', 'client');
  const pool = await Promise.all(['a', 'b', 'c'].map((name) => start('front', name, { aliases: ['pool'] })));
  const addresses = await Promise.all(pool.map((container) => addressOf(container, 'front')));
  for (const library of libraries) {
    expect((await lookUp(client, library, 'pool')).sort()).toEqual(addresses.sort());
  }
  const first = new Set<string>();
  for (let i = 0; i < 3; i++) {
    first.add(((await askInside(client, 'resolve4', 'pool')) as string[])[0] ?? '');
  }
  expect([...first].sort()).toEqual(addresses.sort());
  await pool[0]?.close();
  expect(await lookUp(client, 'musl', 'pool')).toHaveLength(2);
});

test('only containers of the same networks are found', async () => {
  await bed.runtime.createNetwork({ name: 'front', internal: true });
  await bed.runtime.createNetwork({ name: 'back', internal: true });
  const web = await start('front', 'web', { network: { front: { aliases: ['shared'] } } });
  const db = await start('back', 'db', { network: { back: { aliases: ['shared'] } } });
  const both = await start('front', 'both', { network: { front: {}, back: {} } });
  expect(await askInside(web, 'resolve4', 'db')).toBe('ENOTFOUND');
  expect(await lookUp(both, 'musl', 'web', 'db')).toEqual([await addressOf(web, 'front'), await addressOf(db, 'back')]);
  expect(await lookUp(both, 'musl', 'shared')).toEqual([await addressOf(web, 'front')]);
  expect(await lookUp(both, 'musl', 'shared.back')).toEqual([await addressOf(db, 'back')]);
  expect(await lookUp(web, 'glibc', 'both')).toEqual([await addressOf(both, 'front')]);
  // On the default network there are no names: the host's servers are asked by the container itself.
  const plain = await bed.runtime.exec(image, ['cat', '/etc/resolv.conf'], { dns: ['192.0.2.9'] });
  expect(plain.stdout).toMatch(/^nameserver 192\.0\.2\.9\n/);
});

test('other names are asked of the servers that were given, as the container reaches them', async () => {
  await bed.runtime.createNetwork({ name: 'front', internal: true });
  const names = await start('front', 'names');
  const stop = await serveNames(names, '0.0.0.0', { 'boat.test': '192.0.2.7', 'boat.harbour.test': '192.0.2.8' });
  const dns = [await addressOf(names, 'front')];
  const client = await start('front', 'client', { dns });
  const searching = await start('front', 'searching', { dns, dnsSearch: ['harbour.test'], dnsOptions: ['ndots:1'] });
  for (const library of libraries) {
    expect(await lookUp(client, library, 'boat.test', 'names')).toEqual(['192.0.2.7', dns[0]]);
    expect(await lookUp(searching, library, 'boat', 'names')).toEqual(['192.0.2.8', dns[0]]);
  }
  expect(await askInside(client, 'resolve4', 'nobody.test')).toBe('ENOTFOUND');
  // The name server that runs in a container has port 53 there for itself, and is its own server if it is to be.
  const own = await start('front', 'own', { dns: ['127.0.0.1'] });
  const stopOwn = await serveNames(own, '0.0.0.0', { 'boat.test': '192.0.2.9' });
  expect(await lookUp(own, 'musl', 'boat.test', 'names')).toEqual(['192.0.2.9', dns[0]]);
  expect((await own.exec(['nslookup', 'boat.test', '127.0.0.1'])).stdout).toContain('192.0.2.9');
  stop();
  stopOwn();
  expect(await askInside(client, 'resolve4', 'boat.test')).toBe('ESERVFAIL');
});

test("other names are asked of the host's servers, also of one on its loopback; on an internal network of none", async () => {
  const server = await NameServer.start('127.0.77.53', { 'boat.test': '192.0.2.7' });
  const resolvConf = join(bed.folder, 'resolv.conf');
  writeFileSync(resolvConf, 'nameserver 127.0.77.53\n');
  const code = `
    for (const internal of [false, true]) {
      const network = await runtime.createNetwork({ internal });
      const { stdout } = await runtime.exec(given, ['lookup-musl', 'boat.test'], { network });
      say(stdout.trim());
    }`;
  // The host has this resolv.conf in the process that makes the containers.
  const under = ['unshare', '-m', 'sh', '-c', 'mount --bind "$0" /etc/resolv.conf && exec "$@"', resolvConf];
  const { output, code: status } = await startProgram([...under, ...bed.childCommand(code, image)]).ended;
  expect({ status, output }).toEqual({ status: 0, output: '192.0.2.7\nName does not resolve\n' });
  expect(new Set(server.asked)).toEqual(new Set(['boat.test']));
  await server.close();
});

/** The resolvers on this machine that the container's supervisor has started. */
function resolversOf(container: Container): number[] {
  const parent = supervisorOf(container);
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
        return (
          stat.includes('(dinghy-resolve)') && Number(stat.slice(stat.lastIndexOf(')') + 4).split(' ')[0]) === parent
        );
      } catch {
        return false; // it has ended
      }
    })
    .map(Number);
}

test('a resolver that is killed is followed by another, and none outlives its container', async () => {
  await bed.runtime.createNetwork({ name: 'front', internal: true });
  const web = await start('front', 'web');
  const address = await addressOf(web, 'front');
  const seen = new Set<number>();
  for (let round = 0; round < 3; round++) {
    // It has answered: it runs, under its name.
    expect(await lookUp(web, 'musl', 'web')).toEqual([address]);
    const [pid, ...more] = resolversOf(web);
    if (pid === undefined || more.length > 0) throw new Error('there must be one resolver');
    seen.add(pid);
    if (round < 2) process.kill(pid, 'SIGKILL');
  }
  expect(seen.size).toBe(3);
  // Its end is not taken for the container's.
  expect((await web.inspect()).status).toBe('running');
  await web.restart();
  expect(await lookUp(web, 'musl', 'web')).toEqual([address]);
  expect(resolversOf(web)).toHaveLength(1);
  const [last] = resolversOf(web);
  process.kill(supervisorOf(web), 'SIGKILL');
  await until('the resolver is gone', () => {
    try {
      return process.kill(Number(last), 0) && false;
    } catch {
      return true;
    }
  });
});

test(
  `${fleetSize} containers each find five others`,
  async () => {
    await bed.runtime.createNetwork({ name: 'front', internal: true });
    const numbers = Array.from({ length: fleetSize }, (_unused, index) => index);
    const fleet = await Promise.all(numbers.map((number) => start('front', `boat-${number}`)));
    const addresses = await Promise.all(fleet.map((container) => addressOf(container, 'front')));
    const othersOf = (number: number): number[] => [1, 2, 3, 5, 8].map((step) => (number + step) % fleetSize);
    const found = await Promise.all(
      fleet.map((container, number) =>
        lookUp(container, number % 2 === 0 ? 'glibc' : 'musl', ...othersOf(number).map((other) => `boat-${other}`)),
      ),
    );
    found.forEach((lines, number) => {
      expect(lines).toEqual(othersOf(number).map((other) => addresses[other]));
    });
  },
  30_000 + fleetSize * 1000,
);
