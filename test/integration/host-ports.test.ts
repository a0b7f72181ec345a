import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

import type { Container } from '../../lib';
import { TestBed } from '../support/busybox';
import { until } from '../support/until';

let bed: TestBed;
let server: Server;
let port: number;
const large = Buffer.alloc(20 * 1024 * 1024, 'dinghy');

/** On the host's loopback, and there alone. */
async function serveOnHost(wanted = 0): Promise<Server> {
  const made = createServer((request, response) => {
    response.end(request.url === '/large' ? large : `from ${request.socket.remoteAddress}\n`);
  });
  made.listen(wanted, '127.0.0.1');
  await once(made, 'listening');
  return made;
}

async function stop(made: Server): Promise<void> {
  made.closeAllConnections();
  made.close();
  await once(made, 'close');
}

beforeEach(async () => {
  bed = await TestBed.make();
  server = await serveOnHost();
  ({ port } = server.address() as AddressInfo);
});
afterEach(async () => {
  await bed.remove();
  if (server.listening) await stop(server);
});

const start = (options: object): Promise<Container> =>
  bed.runtime.run(bed.busybox, { command: ['sleep', '1000'], stopSignal: 'SIGKILL', ...options });

/** What the container gets from there; `refused` covers every way of not getting it. */
async function get(container: Container, url: string): Promise<string> {
  const { stdout } = await container.exec(['sh', '-c', `timeout 10 wget -qO- ${url} || echo refused`]);
  return stdout.trim();
}

test('a port of the host is reached on every kind of network, by both names, and by no other container', async () => {
  await bed.runtime.createNetwork({ name: 'front' });
  await bed.runtime.createNetwork({ name: 'vault', internal: true });
  for (const network of ['bridge', 'front', 'vault', 'host']) {
    const led = await start({ network, hostPorts: [port] });
    for (const name of ['host.dinghy.internal', 'host.docker.internal']) {
      expect(await get(led, `http://${name}:${port}/`)).toBe('from 127.0.0.1');
    }
    if (network !== 'host') {
      const other = await start({ network });
      expect(await get(other, `http://host.dinghy.internal:${port}/`)).toBe('refused');
      // Not another port of the host's loopback, either.
      const { port: registry } = new URL(`http://${bed.registry.host}`);
      expect(await get(led, `http://host.dinghy.internal:${registry}/v2/`)).toBe('refused');
      await other.close();
    }
    await led.close();
  }
});

test('much data comes through whole, after a restart of either side and of the helper too', async () => {
  const led = await start({ hostPorts: [port] });
  const digest = createHash('sha256').update(large).digest('hex');
  const fetchLarge = async (): Promise<string> =>
    (await led.exec(['sh', '-c', `wget -qO- http://host.dinghy.internal:${port}/large | sha256sum`])).stdout.slice(
      0,
      64,
    );
  expect(await fetchLarge()).toBe(digest);
  await stop(server);
  expect(await get(led, `http://host.dinghy.internal:${port}/`)).toBe('refused');
  server = await serveOnHost(port);
  expect(await fetchLarge()).toBe(digest);
  await led.restart();
  expect(await fetchLarge()).toBe(digest);
  for (const helper of forwardersOf(led)) process.kill(helper, 'SIGKILL');
  expect(await fetchLarge()).toBe(digest);
  expect(forwardersOf(led)).toHaveLength(1);
  expect((await led.inspect()).status).toBe('running');
});

/** The forwarders that the container's supervisor has started. */
function forwardersOf({ id }: Container): number[] {
  const state = readFileSync(`${bed.root}/containers/${id}/state.json`, 'utf8');
  const { supervisorPid } = JSON.parse(state) as { supervisorPid: number };
  const children = readFileSync(`/proc/${supervisorPid}/task/${supervisorPid}/children`, 'utf8');
  return children
    .split(' ')
    .filter(Boolean)
    .filter((pid) => readFileSync(`/proc/${pid}/comm`, 'utf8') === 'dinghy-forward\n')
    .map(Number);
}

test("a server of the container's own has the port for itself, and published ports work beside it", async () => {
  const page = 'mkdir /www; echo own >/www/index.html; exec httpd -f -p "$PORT" -h /www';
  const led = await bed.runtime.run(bed.busybox, {
    ...{ command: ['sh', '-c', page], env: { PORT: String(port) }, stopSignal: 'SIGKILL' },
    ...{ hostPorts: [port], ports: [port], waitFor: { port } },
  });
  expect(await get(led, `http://127.0.0.1:${port}/`)).toBe('own');
  expect(await get(led, `http://host.dinghy.internal:${port}/`)).toBe('from 127.0.0.1');
  const published = await led.port(port);
  expect(await (await fetch(`http://${published.host}:${published.port}/`)).text()).toBe('own\n');
});

test('it follows the networks that the container is connected to', async () => {
  const front = await bed.runtime.createNetwork({ name: 'front' });
  const back = await bed.runtime.createNetwork({ name: 'back' });
  const led = await start({ network: 'front', hostPorts: [port] });
  const { gateway } = await back.inspect();
  await back.connect(led);
  expect(await get(led, `http://${gateway}:${port}/`)).toBe('from 127.0.0.1');
  await front.disconnect(led);
  expect(await get(led, `http://host.dinghy.internal:${port}/`)).toBe('from 127.0.0.1');
});

test('a killed supervisor leaves nothing of it', async () => {
  const led = await start({ hostPorts: [port] });
  // By then it runs, under its name.
  expect(await get(led, `http://host.dinghy.internal:${port}/`)).toBe('from 127.0.0.1');
  const helpers = forwardersOf(led);
  expect(helpers).toHaveLength(1);
  const state = readFileSync(`${bed.root}/containers/${led.id}/state.json`, 'utf8');
  process.kill((JSON.parse(state) as { supervisorPid: number }).supervisorPid, 'SIGKILL');
  await until('the helper is gone', () => !readdirSync('/proc').includes(String(helpers[0])));
});
