import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { inheritedOptions, keepOptions } from '../../../lib/run/inherit';
import type { ContainerPlaces } from '../../../lib/run/places';
import type { ContainerRecord } from '../../../lib/run/record';
import { removeFolder, temporaryFolder } from '../../support/temporary-folder';

const folder = temporaryFolder('inherit');
const config = join(folder, 'config.json');
afterAll(() => removeFolder(folder));

/** What a fork takes over of a container with these options, and these resources and policy in its config.json by now. */
function inherited(options: object, resources: object = {}, restart?: object, labels = {}): object {
  mkdirSync(folder, { recursive: true });
  writeFileSync(config, JSON.stringify({ linux: { resources }, dinghy: restart ? { restart } : {} }));
  // As it goes through the record.
  const asked = JSON.parse(JSON.stringify(keepOptions(options as Record<string, unknown>))) as Record<string, unknown>;
  const { restart: policy, ...rest } = inheritedOptions(
    { asked, labels } as ContainerRecord,
    { config } as ContainerPlaces,
  );
  expect(policy).toEqual(restart ?? { policy: 'no' });
  return rest;
}

test('what was asked for comes along; what is a container’s alone, or a secret, does not', () => {
  const options = { command: ['sleep', '1'], env: { A: 'b' }, tty: { columns: 80, rows: 24 }, detached: true };
  const own = { name: 'base', reuse: 'key', files: [{ path: '/f', content: 'x' }], auth: { password: 'p' } };
  const call = {
    signal: new AbortController().signal,
    pull: 'never',
    platform: 'linux/arm64',
    onPullProgress: () => 0,
  };
  expect(inherited({ ...options, ...own, ...call, user: undefined })).toEqual(options);
});

test('host ports become any free one, on the addresses they had', () => {
  expect(inherited({ ports: [80, '8001:81', '127.0.0.1:8002:82/udp', { containerPort: 83, hostPort: 8003 }] })).toEqual(
    {
      ports: [
        { hostAddress: 'localhost', hostPort: 0, containerPort: 80, protocol: 'tcp' },
        { hostAddress: '', hostPort: 0, containerPort: 81, protocol: 'tcp' },
        { hostAddress: '127.0.0.1', hostPort: 0, containerPort: 82, protocol: 'udp' },
        { hostAddress: '', hostPort: 0, containerPort: 83, protocol: 'tcp' },
      ],
    },
  );
});

test('networks come along by name, without addresses that were asked for', () => {
  expect(inherited({ network: { name: 'net', subnet: '10.0.0.0/24', inspect: () => 0 } })).toEqual({ network: 'net' });
  expect(inherited({ network: { net: { aliases: ['db'], address: '10.0.0.7', address6: 'fd00::7' } } })).toEqual({
    network: { net: { aliases: ['db'] } },
  });
  expect(inherited({ network: 'none' })).toEqual({ network: 'none' });
});

test('conditions come along, with their regular expressions', () => {
  const conditions = [{ log: /ready \d+/i, times: 2 }, { port: 80 }, { log: 'plain' }, { exec: ['true'] }];
  expect(inherited({ waitFor: conditions })).toEqual({ waitFor: conditions });
  expect(inherited({ waitFor: { log: /x/ } })).toEqual({ waitFor: { log: /x/ } });
});

test('limits, policy and labels are the present ones', () => {
  const resources = {
    memory: { limit: 64e6, swap: 128e6 },
    cpu: { quota: 150_000, period: 100_000, cpus: '0' },
    pids: { limit: 9 },
  };
  const policy = { policy: 'on-failure', maxRetries: 2 };
  expect(inherited({ memory: '32m', restart: 'always' }, resources, policy, { a: 'b' })).toEqual({
    memory: 64e6,
    cpus: 1.5,
    cpuset: '0',
    pids: 9,
    labels: { a: 'b' },
  });
  expect(inherited({}, { memory: { limit: 64e6, swap: 64e6 } })).toEqual({ memory: 64e6, memorySwap: 64e6 });
  // It was asked for, and taken back by update().
  expect(inherited({ restart: 'always' })).toEqual({});
});
