import { spawnSync } from 'node:child_process';
import { get } from 'node:http';
import { type AddressInfo, createServer, type Server } from 'node:net';

import { TestBed } from '../support/busybox';

let bed: TestBed;
beforeAll(async () => {
  bed = await TestBed.make();
});
afterAll(async () => {
  await bed.remove();
});

const server = ['sh', '-c', 'mkdir /www; echo "hello from $HOSTNAME" >/www/index.html; exec httpd -f -p 80 -h /www'];

function fetchText(url: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = get(url, { agent: false }, (response) => {
      let text = '';
      response.on('data', (chunk: Buffer) => (text += chunk.toString()));
      response.on('end', () => resolve(text));
    });
    request.on('error', reject);
  });
}

function listen(listener: Server, address: string): Promise<Server> {
  return new Promise((resolve) => listener.listen(0, address, () => resolve(listener)));
}

test('a published port is reached from the host, and gone with the container', async () => {
  const container = await bed.runtime.run(bed.busybox, {
    command: server,
    hostname: 'web',
    ports: [80],
    waitFor: [{ port: 80 }, { http: { port: 80, status: 200 } }],
  });
  const { host, port } = await container.port(80);
  expect(host).toBe('127.0.0.1');
  expect(await fetchText(`http://127.0.0.1:${port}/`)).toBe('hello from web\n');
  expect(await fetchText(`http://[::1]:${port}/`)).toBe('hello from web\n');
  const { networks } = await container.inspect();
  const address = networks['bridge']?.address?.replace(/\/.*/, '');
  expect(await fetchText(`http://${address}/`)).toBe('hello from web\n');
  await expect(container.port(81)).rejects.toMatchObject({ code: 'ERR_PORT_NOT_PUBLISHED' });
  await container.close();
  await expect(fetchText(`http://127.0.0.1:${port}/`)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  expect(spawnSync('ip', ['-o', 'link'], { encoding: 'utf8' }).stdout).not.toContain(`dgy${container.id.slice(0, 12)}`);
});

test('containers reach each other and the host by address and name', async () => {
  const web = await bed.runtime.run(bed.busybox, { command: server, waitFor: { port: 80 } });
  const { networks } = await web.inspect();
  const address = networks['bridge']?.address?.replace(/\/.*/, '') ?? '';
  const hostServer = await listen(
    createServer((socket) => socket.end('from the host\n')),
    '0.0.0.0',
  );
  const hostPort = (hostServer.address() as AddressInfo).port;
  const { stdout } = await bed.runtime.exec(
    bed.busybox,
    ['sh', '-c', `wget -qO- http://web.local/; nc host.dinghy.internal ${hostPort} </dev/null; cat /etc/hosts`],
    { extraHosts: { 'web.local': address }, hostname: 'asker' },
  );
  hostServer.close();
  expect(stdout).toContain('hello from');
  expect(stdout).toContain('from the host');
  expect(stdout).toMatch(/^[\d.]+\tasker$/m);
  await web.close();
});

test('a taken port is told, with a cure, and costs nothing', async () => {
  const other = await listen(createServer(), '127.0.0.1');
  const taken = (other.address() as AddressInfo).port;
  await expect(
    bed.runtime.run(bed.busybox, { command: server, ports: [`127.0.0.1:${taken}:80`], name: 'unlucky' }),
  ).rejects.toMatchObject({ code: 'ERR_PORT_IN_USE', message: expect.stringContaining(String(taken)) });
  other.close();
  await expect(bed.runtime.container('unlucky')).rejects.toMatchObject({ code: 'ERR_CONTAINER_NOT_FOUND' });
});

test('a restart keeps the address and the ports', async () => {
  const container = await bed.runtime.run(bed.busybox, { command: server, ports: [80], waitFor: { port: 80 } });
  const before = [await container.port(80), (await container.inspect()).networks];
  await container.restart({ timeoutMs: 200 });
  await container.waitFor({ port: 80 });
  expect([await container.port(80), (await container.inspect()).networks]).toEqual(before);
  expect(await fetchText(`http://127.0.0.1:${(await container.port(80)).port}/`)).toContain('hello');
  await container.close();
});
