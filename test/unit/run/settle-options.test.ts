import { isDinghyError } from '../../../lib/errors';
import { containerOptionNames, settleOptions } from '../../../lib/run/settle-options';
import { checkOptions } from '../../../lib/util/checks';

function refusal(options: Record<string, unknown>): { code: string; message: string } {
  try {
    settleOptions(options);
  } catch (error) {
    if (isDinghyError(error)) {
      return { code: error.code, message: error.message };
    }
    throw error;
  }
  return { code: 'accepted', message: '' };
}

test.each([
  ['name', 'a b'],
  ['name', '-a'],
  ['name', ''],
  ['name', '../x'],
  ['command', [1]],
  ['command', ['a\0b']],
  ['env', { 'A=B': 'x' }],
  ['env', { A: 1 }],
  ['env', ['A=1']],
  ['workdir', 'relative'],
  ['workdir', '/a\nb'],
  ['user', 'root\nevil'],
  ['user', 'a:b:c'],
  ['user', ''],
  ['groupAdd', [-1]],
  ['groupAdd', ['a:b']],
  ['hostname', 'a b'],
  ['hostname', 'x'.repeat(65)],
  ['tty', { columns: 80 }],
  ['tty', { columns: -1, rows: 1 }],
  ['ports', ['nonsense']],
  ['ports', [0]],
  ['mounts', ['/host:relative']],
  ['mounts', ['/host:/a:nonsense']],
  ['mounts', ['/host:/']],
  ['mounts', ['/host:/proc']],
  ['mounts', ['/host:/proc/../sys']],
  ['mounts', ['bad name:/a']],
  ['mounts', ['a:/x', 'b:/x/']],
  ['mounts', [{ type: 'bind', target: '/a' }]],
  ['mounts', [{ type: 'nfs', target: '/a' }]],
  ['mounts', [{ type: 'tmpfs', target: '/a', source: '/b' }]],
  ['mounts', [{ type: 'volume', target: '/a', size: 1 }]],
  ['tmpfs', { '/a': 'size=x' }],
  ['tmpfs', ['relative']],
  ['files', [{ path: '/a' }]],
  ['files', [{ path: '/a', content: 'x', source: '/b' }]],
  ['files', [{ path: '/a/../../b', content: 'x' }]],
  ['files', [{ path: '/a', content: 5 }]],
  ['network', 'two words'],
  ['network', ''],
  ['network', '../up'],
  ['network', 5],
  ['network', {}],
  ['network', { host: {} }],
  ['network', { front: { adress: '10.1.1.1' } }],
  ['network', { front: { address: '10.1.1.01' } }],
  ['network', { front: { aliases: ['a b'] } }],
  ['network', { front: { aliases: ['a\n10.0.0.1'] } }],
  ['network', { bridge: { address: '10.1.1.1' } }],
  ['network', Object.fromEntries(Array.from({ length: 37 }, (_unused, index) => [`n${index}`, {}]))],
  ['aliases', ['x']],
  ['dns', ['example.com']],
  ['dns', ['1.2.3']],
  ['dns', ['127.0.0.11']],
  ['dnsSearch', ['a b']],
  ['dnsSearch', ['.', 'example.com']],
  ['dnsOptions', ['ndots:1\nnameserver 192.0.2.1']],
  ['hostPorts', 3000],
  ['hostPorts', [0]],
  ['hostPorts', ['3000']],
  ['hostPorts', Array.from({ length: 65 }, (_unused, index) => 3000 + index)],
  ['extraHosts', { 'a\nb': '1.2.3.4' }],
  ['extraHosts', { a: '1.2.3.4\n5.6.7.8 bank' }],
  ['memory', '1m'],
  ['memory', '-5'],
  ['memory', 'lots'],
  ['memorySwap', '1g'],
  ['cpus', 0],
  ['cpus', Number.NaN],
  ['cpuset', '0-'],
  ['pids', 1.5],
  ['shmSize', '1x'],
  ['ulimits', { nofiles: 1 }],
  ['ulimits', { nofile: { soft: 2, hard: 1 } }],
  ['capAdd', ['FLY']],
  ['seccomp', '/profile.json'],
  ['devices', ['relative']],
  ['devices', ['/dev/null:/etc/x']],
  ['devices', ['/dev/null:/dev/x:q']],
  ['sysctls', { 'kernel.core_pattern': '|/x' }],
  ['sysctls', { 'net.ipv4.ip_forward': '1\n' }],
  ['labels', { a: 1 }],
  ['stopSignal', 'SIGNONSENSE'],
  ['stopTimeoutMs', -1],
  ['stopTimeoutMs', 2 ** 31],
  ['log', { maxsize: 1 }],
  ['log', { maxFiles: 0 }],
  ['init', 'yes'],
])('refuses %s: %j', (option, value) => {
  const { code, message } = refusal({ [option]: value });
  expect(code).toBe('ERR_INVALID_OPTION');
  expect(message).toContain(option);
  expect(message).not.toMatch(/[\n\0]/);
});

test.each([
  ['pid', 'host'],
  ['ipc', 'host'],
])('says that %s is not there yet, and what to do instead', (option, value) => {
  const { code, message } = refusal({ [option]: value });
  expect(code).toBe('ERR_NOT_IMPLEMENTED');
  expect(message).toMatch(new RegExp(`option ${option}.*: .{10}`));
});

test('ports of the host need a network, and are counted once', () => {
  expect(settleOptions({ hostPorts: [3000, 8080, 3000] }).hostPorts).toEqual([3000, 8080]);
  expect(refusal({ hostPorts: [3000], network: 'none' })).toMatchObject({
    code: 'ERR_INVALID_OPTION',
    message: expect.stringContaining('hostPorts') as string,
  });
});

test.each([
  ['always', { policy: 'always' }],
  ['unless-stopped', { policy: 'unless-stopped' }],
  ['on-failure', { policy: 'on-failure' }],
  ['on-failure:3', { policy: 'on-failure', maxRetries: 3 }],
  ['no', undefined],
  [{ policy: 'no' }, undefined],
  [{ policy: 'on-failure', maxRetries: 0 }, { policy: 'on-failure' }],
  [
    { policy: 'on-failure', maxRetries: 2 },
    { policy: 'on-failure', maxRetries: 2 },
  ],
])('restart %j', (value, settled) => {
  expect(settleOptions({ restart: value }).restart).toEqual(settled);
});

test.each([
  'sometimes',
  'on-failure:',
  'on-failure:-1',
  'always:3',
  null,
  7,
  { policy: 'always', maxRetries: 3 },
  { policy: 'on-failure', maxRetries: -1 },
  { policy: 'on-failure', maxRetries: 1.5 },
  { policy: 'on-failure', retries: 1 },
])('refuses restart %j', (value) => {
  expect(refusal({ restart: value }).code).toBe('ERR_INVALID_OPTION');
});

test.each([
  [{ test: 'pg_isready -q' }, { test: ['CMD-SHELL', 'pg_isready -q'] }],
  [{ test: ['pg_isready', '-q'] }, { test: ['CMD', 'pg_isready', '-q'] }],
  [{ test: ['CMD', 'pg_isready'] }, { test: ['CMD', 'pg_isready'] }],
  [{ test: ['CMD-SHELL', 'a | b'] }, { test: ['CMD-SHELL', 'a | b'] }],
  [{ test: 'none' }, { test: ['NONE'] }],
  [{ test: ['NONE'] }, { test: ['NONE'] }],
  [
    { intervalMs: 1, timeoutMs: 0, startPeriodMs: 5, startIntervalMs: 6, retries: 7 },
    { intervalMs: 1, timeoutMs: 0, startPeriodMs: 5, startIntervalMs: 6, retries: 7 },
  ],
])('healthcheck %j', (value, settled) => {
  expect(settleOptions({ healthcheck: value }).healthcheck).toEqual(settled);
});

test.each([
  null,
  'true',
  { test: '' },
  { test: [] },
  { test: ['CMD'] },
  { test: ['CMD-SHELL', 'a', 'b'] },
  { test: ['NONE', 'x'] },
  { test: [''] },
  { test: ['a\0b'] },
  { test: 'x', intervalMs: -1 },
  { test: 'x', intervalMs: 0.5 },
  { test: 'x', timeoutMs: Infinity },
  { test: 'x', retries: -1 },
  { test: 'x', retry: 1 },
])('refuses healthcheck %j', (value) => {
  expect(refusal({ healthcheck: value }).code).toBe('ERR_INVALID_OPTION');
});

test('what removes itself cannot be started again, as in Docker', () => {
  expect(refusal({ restart: 'always', autoRemove: true }).code).toBe('ERR_INVALID_OPTION');
  expect(refusal({ restart: 'no', autoRemove: true }).code).toBe('accepted');
});

test('what changes nothing is accepted', () => {
  expect(refusal({ restart: 'no', ipc: 'private', healthcheck: { test: 'none' }, seccomp: 'default' }).code).toBe(
    'accepted',
  );
});

test('an unknown name is refused with the one that was meant', () => {
  expect(() => checkOptions('run', { enviroment: {} }, [...containerOptionNames])).toThrow(
    /enviroment of run is unknown/,
  );
  expect(() => checkOptions('run', { hostName: 'x' }, [...containerOptionNames])).toThrow(/did you mean hostname/);
  expect(() => checkOptions('run', { memroy: 1 }, [...containerOptionNames])).toThrow(/did you mean memory/);
});

test('mounts in all their forms', () => {
  const { mounts } = settleOptions({
    mounts: ['/host:/a:ro,rslave', 'data:/b', '/c', { type: 'tmpfs', target: '/d/', size: '1k', mode: 0o700 }],
    tmpfs: { '/e': 'size=2k,mode=1777,exec', '/f': '' },
  });
  expect(mounts).toEqual([
    {
      type: 'bind',
      source: '/host',
      target: '/a',
      readOnly: true,
      propagation: 'rslave',
      options: [],
      createSource: true,
    },
    { type: 'volume', source: 'data', target: '/b', readOnly: false, options: [] },
    { type: 'volume', target: '/c', readOnly: false, options: [] },
    { type: 'tmpfs', target: '/d', readOnly: false, sizeBytes: 1024, mode: 0o700, options: [] },
    { type: 'tmpfs', target: '/e', readOnly: false, sizeBytes: 2048, mode: 0o1777, options: ['exec'] },
    { type: 'tmpfs', target: '/f', readOnly: false, options: [] },
  ]);
});

test('what a mount takes of its source', () => {
  const volume = { type: 'volume', source: 'data', target: '/b' } as const;
  const bind = { type: 'bind', source: '/host', target: '/a' } as const;
  const { mounts } = settleOptions({
    mounts: [
      { ...volume, subpath: 'a/b', noCopy: true },
      { ...bind, recursive: 'disabled' },
      { ...bind, target: '/r', readOnly: true, recursive: 'writable' },
      'data:/n:nocopy',
    ],
  });
  expect(mounts).toEqual([
    { ...volume, readOnly: false, subpath: 'a/b', noCopy: true, options: [] },
    { ...bind, readOnly: false, recursive: 'disabled', options: [] },
    { ...bind, target: '/r', readOnly: true, recursive: 'writable', options: [] },
    { ...volume, target: '/n', readOnly: false, noCopy: true, options: [] },
  ]);
  for (const mount of [
    { ...volume, subpath: '/etc' },
    { ...volume, subpath: 'a/../../b' },
    { ...volume, subpath: '' },
    { ...bind, subpath: 'a' },
    { ...bind, noCopy: true },
    { ...volume, recursive: 'disabled' },
    { ...bind, recursive: 'writable' },
    { ...bind, recursive: 'sometimes' },
    '/host:/a:nocopy',
  ]) {
    expect(refusal({ mounts: [mount] }).code).toBe('ERR_INVALID_OPTION');
  }
});

test('devices in all their forms', () => {
  const { devices } = settleOptions({
    devices: ['/dev/a', '/dev/a:r', '/dev/a:/dev/b', '/dev/a:/dev/b:rw', { source: '/dev/c' }],
  });
  expect(devices.map(({ source, target, permissions }) => `${source} ${target} ${permissions}`)).toEqual([
    '/dev/a /dev/a rwm',
    '/dev/a /dev/a r',
    '/dev/a /dev/b rwm',
    '/dev/a /dev/b rw',
    '/dev/c /dev/c rwm',
  ]);
});

test('ports are only published from the bridge', () => {
  for (const [option, value] of Object.entries({
    ...{
      ports: [80],
      publishAll: true,
      hostPorts: [80],
      hostname: 'a',
      dns: ['10.0.0.1'],
      dnsSearch: ['.'],
      dnsOptions: ['ndots:1'],
    },
    ...{ aliases: ['web'], extraHosts: { a: '10.0.0.1' }, sysctls: { 'net.ipv4.ip_forward': '1' } },
  })) {
    const { code, message } = refusal({ network: 'container:web', [option]: value });
    expect([option, code]).toEqual([option, 'ERR_INVALID_OPTION']);
    expect(message).toContain(option);
  }
  expect(settleOptions({ network: 'container:web', sysctls: { 'kernel.shmmax': '1' } }).network).toEqual({
    mode: 'container',
    container: 'web',
  });
  for (const network of ['container:', 'container:a/b', { 'container:web': {} }, { 'container:web': {}, front: {} }]) {
    expect(refusal({ network }).code).toBe('ERR_INVALID_OPTION');
  }
  expect(refusal({ network: 'none', ports: [80] }).code).toBe('ERR_INVALID_OPTION');
  expect(refusal({ network: 'host', publishAll: true }).code).toBe('ERR_INVALID_OPTION');
});

test('networks in all their forms', () => {
  const networkOf = (network: unknown, aliases?: string[]) => settleOptions({ network, aliases }).network;
  const on = (...networks: object[]) => ({ mode: 'bridge', networks });
  expect(networkOf(undefined)).toEqual(on({ network: 'bridge', aliases: [] }));
  expect(networkOf('default')).toEqual(on({ network: 'bridge', aliases: [] }));
  expect(networkOf('none')).toEqual({ mode: 'none' });
  expect(networkOf('host')).toEqual({ mode: 'host' });
  expect(networkOf('front', ['web', 'web'])).toEqual(on({ network: 'front', aliases: ['web'] }));
  expect(networkOf({ name: 'front', subnet: '10.1.1.0/24' })).toEqual(on({ network: 'front', aliases: [] }));
  expect(networkOf({ front: { aliases: ['a'], address: '10.1.1.9' }, bridge: {}, name: {} }, ['b'])).toEqual(
    on(
      { network: 'front', aliases: ['a', 'b'], address: '10.1.1.9' },
      { network: 'bridge', aliases: [] },
      { network: 'name', aliases: ['b'] },
    ),
  );
});
