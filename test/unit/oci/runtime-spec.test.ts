import type { ImageConfig } from '../../../lib/oci/image-config';
import { makeRuntimeSpec, type Placement } from '../../../lib/oci/runtime-spec';
import type { ResolvedMount } from '../../../lib/oci/spec-mounts';
import type { RuntimeSpec } from '../../../lib/oci/spec-types';
import { settleOptions } from '../../../lib/run/settle-options';

const image: ImageConfig = {
  env: ['PATH=/opt/bin:/bin', 'LANG=C', 'BROKEN'],
  entrypoint: ['/entry'],
  command: ['serve', '--fast'],
  user: 'app',
  workdir: '/srv',
  ports: ['80/tcp'],
  volumes: [],
  labels: {},
  stopSignal: 'SIGQUIT',
  shell: ['/bin/sh', '-c'],
};

const placement: Placement = {
  id: 'a'.repeat(64),
  name: 'boat',
  hostname: 'boat',
  rootfs: { type: 'overlay', lower: ['/l2', '/l1'], upper: '/u', work: '/w', volatile: true, userxattr: false },
  network: { mode: 'none' },
  mounts: [],
  devices: [],
  files: { hosts: '/b/hosts', hostname: '/b/hostname', resolvConf: '/b/resolv.conf' },
  cgroupsPath: '/dinghy/x',
  logPath: '/b/log',
  lock: '/b/lock',
  release: ['/names/boat'],
  trees: ['/b'],
};

function specOf(options: Record<string, unknown>, more: Partial<Placement> = {}, from = image): RuntimeSpec {
  return makeRuntimeSpec(from, settleOptions(options), { ...placement, ...more });
}

describe('the command', () => {
  test.each([
    [{}, ['/entry', 'serve', '--fast']],
    [{ command: ['other'] }, ['/entry', 'other']],
    [{ command: 'one word' }, ['/entry', 'one word']],
    [{ entrypoint: ['/mine'] }, ['/mine']],
    [{ entrypoint: [], command: ['alone'] }, ['alone']],
    [{ entrypoint: '/mine', command: ['x'] }, ['/mine', 'x']],
  ])('%j gives %j', (options, expected) => {
    expect(specOf(options).process.args).toEqual(expected);
  });

  test('an image without one needs one', () => {
    expect(() => specOf({}, {}, { ...image, entrypoint: [], command: [] })).toThrow(/command/);
  });
});

test('variables: given over image over default, malformed ones of the image dropped', () => {
  const { env } = specOf({ env: { LANG: 'de', NEW: 'a=b\nc' }, tty: true }).process;
  expect(env).toEqual(['PATH=/opt/bin:/bin', 'HOSTNAME=boat', 'TERM=xterm', 'LANG=de', 'NEW=a=b\nc']);
});

describe('capabilities', () => {
  const of = (options: Record<string, unknown>): string[] => specOf(options).process.capabilities.bounding;

  test('are Docker’s 14, and none is inheritable or ambient', () => {
    const { capabilities } = specOf({}).process;
    expect(capabilities.bounding).toHaveLength(14);
    expect(capabilities.effective).toEqual(capabilities.bounding);
    expect([capabilities.inheritable, capabilities.ambient]).toEqual([[], []]);
  });

  test('are added and dropped', () => {
    expect(of({ capDrop: ['all'], capAdd: ['net_raw', 'CAP_CHOWN'] })).toEqual(['CAP_CHOWN', 'CAP_NET_RAW']);
    expect(of({ capDrop: ['MKNOD'] })).not.toContain('CAP_MKNOD');
    expect(of({ capAdd: ['ALL'], capDrop: ['SYS_ADMIN'] })).toHaveLength(40);
    expect(of({ capAdd: ['SYS_ADMIN'], capDrop: ['SYS_ADMIN'] })).toContain('CAP_SYS_ADMIN');
    expect(of({ privileged: true })).toHaveLength(41);
  });
});

test('the kernel’s files are hidden, unless privileged', () => {
  const { linux } = specOf({});
  expect(linux.maskedPaths).toEqual(expect.arrayContaining(['/proc/kcore', '/proc/keys', '/sys/firmware']));
  expect(linux.readonlyPaths).toContain('/proc/sys');
  expect(specOf({ privileged: true })).toMatchObject({
    linux: { maskedPaths: [], readonlyPaths: [] },
    dinghy: { seccompFilter: 'unconfined' },
  });
});

test('devices: everything is denied but Docker’s few and those asked for', () => {
  const device = { type: 'c', path: '/dev/fuse', major: 10, minor: 229, fileMode: 0o666, uid: 0, gid: 0 } as const;
  const { linux } = specOf({}, { devices: [{ ...device, permissions: 'rw' }] });
  expect(linux.devices).toEqual([device]);
  const rules = linux.resources.devices ?? [];
  expect(rules[0]).toEqual({ allow: false, access: 'rwm' });
  expect(rules).toContainEqual({ allow: true, type: 'c', major: 1, minor: 3, access: 'rwm' });
  expect(rules.at(-1)).toEqual({ allow: true, type: 'c', major: 10, minor: 229, access: 'rw' });
  expect(specOf({ privileged: true }).linux.resources.devices).toEqual([{ allow: true, access: 'rwm' }]);
});

test('limits', () => {
  const { linux, process } = specOf({
    memory: '64m',
    memorySwap: '128m',
    cpus: 1.5,
    cpuset: '0-1',
    cpuShares: 512,
    pids: 10,
    ulimits: { nofile: 5, core: { soft: 0, hard: -1 } },
    oomScoreAdj: 7,
  });
  expect(linux.resources).toMatchObject({
    memory: { limit: 67108864, swap: 134217728 },
    cpu: { quota: 150000, period: 100000, cpus: '0-1', shares: 512 },
    pids: { limit: 10 },
  });
  expect(process.rlimits).toEqual([
    { type: 'RLIMIT_NOFILE', soft: 5, hard: 5 },
    { type: 'RLIMIT_CORE', soft: 0, hard: Number.MAX_SAFE_INTEGER },
  ]);
  expect(process.oomScoreAdj).toBe(7);
  expect(specOf({}).linux.resources).toEqual({ devices: expect.any(Array) });
});

test('a bind reaches as far as was asked for, and so does its being read-only', () => {
  const asked = { type: 'bind' as const, source: '/host', target: '/a', options: [] };
  const options = (mount: Partial<ResolvedMount>): unknown =>
    specOf({}, { mounts: [{ ...asked, readOnly: true, ...mount }] }).mounts.find(
      ({ destination }) => destination === '/a',
    )?.options;
  expect(options({})).toEqual(['rbind', 'rprivate', 'ro', 'rro']);
  expect(options({ recursive: 'readonly' })).toEqual(['rbind', 'rprivate', 'ro', 'rro']);
  expect(options({ recursive: 'writable' })).toEqual(['rbind', 'rprivate', 'ro']);
  expect(options({ recursive: 'disabled' })).toEqual(['bind', 'rprivate', 'ro']);
  expect(options({ readOnly: false })).toEqual(['rbind', 'rprivate']);
});

test('volumes are filled unless told otherwise; what lies inside one can be mounted', () => {
  const asked = { type: 'volume' as const, source: '/v/_data', readOnly: false, options: [] };
  const { dinghy } = specOf(
    {},
    {
      mounts: [
        { ...asked, target: '/filled' },
        { ...asked, target: '/bare', noCopy: true },
        { ...asked, target: '/inner', subpath: 'a/b' },
      ],
    },
  );
  expect(dinghy.copyUp).toEqual(['/filled']);
  expect(dinghy.subpaths).toEqual({ '/inner': 'a/b' });
  expect(specOf({}).dinghy.subpaths).toBeUndefined();
});

test('mounts: the defaults, the generated files, and what was asked for with outer folders first', () => {
  const asked = { readOnly: false, options: [] };
  const { mounts } = specOf(
    { shmSize: '1m' },
    {
      mounts: [
        { ...asked, type: 'volume', source: '/v/_data', target: '/a/b/c' },
        { ...asked, type: 'bind', source: '/host', target: '/a', readOnly: true, propagation: 'rslave' },
        { ...asked, type: 'tmpfs', source: '', target: '/run', sizeBytes: 4096, mode: 0o700 },
        { ...asked, type: 'tmpfs', source: '', target: '/dev/mqueue', options: ['exec'] },
      ],
    },
  );
  const at = (target: string): unknown => mounts.find(({ destination }) => destination === target);
  expect(at('/proc')).toMatchObject({ type: 'proc', options: ['nosuid', 'noexec', 'nodev'] });
  expect(at('/sys')).toMatchObject({ options: expect.arrayContaining(['ro']) });
  expect(at('/dev/shm')).toMatchObject({ options: expect.arrayContaining(['size=1048576', 'mode=1777']) });
  expect(at('/etc/hosts')).toMatchObject({ source: '/b/hosts', type: 'bind' });
  expect(at('/a')).toMatchObject({ type: 'bind', options: ['rbind', 'rslave', 'ro', 'rro'] });
  expect(at('/run')).toMatchObject({ type: 'tmpfs', options: ['nosuid', 'nodev', 'noexec', 'mode=700', 'size=4096'] });
  expect(mounts.filter(({ destination }) => destination === '/dev/mqueue')).toHaveLength(1);
  const order = mounts.map(({ destination }) => destination);
  expect(order.indexOf('/a')).toBeLessThan(order.indexOf('/a/b/c'));
  expect(order.indexOf('/dev')).toBeLessThan(order.indexOf('/dev/pts'));
  expect(order.indexOf('/sys')).toBeLessThan(order.indexOf('/sys/fs/cgroup'));
});

test('namespaces and sysctls follow the network', () => {
  expect(specOf({}).linux.namespaces.map(({ type }) => type)).toContain('network');
  expect(specOf({}).linux.sysctl).toMatchObject({ 'net.ipv4.ip_unprivileged_port_start': '0' });
  expect(specOf({ network: 'host' }).linux.namespaces.map(({ type }) => type)).not.toContain('network');
  expect(specOf({ network: 'host', sysctls: {} }).linux.sysctl).toEqual({});
});

test('our own section', () => {
  const { dinghy, hostname } = specOf({ stopTimeoutMs: 5, init: true, openStdin: true, groupAdd: [5, 'staff'] });
  expect(hostname).toBe('boat');
  expect(dinghy).toMatchObject({
    version: 1,
    user: 'app',
    groupAdd: ['5', 'staff'],
    stop: { signal: 3, timeoutMs: 5 },
    init: true,
    stdin: true,
    detached: false,
    release: ['/names/boat'],
    trees: ['/b'],
  });
  expect(dinghy).not.toHaveProperty('seccompFilter');
  expect(specOf({}, {}, { ...image, stopSignal: 'SIGNONSENSE' }).dinghy.stop.signal).toBe(15);
  expect(specOf({ stopSignal: 'RTMIN+3' }).dinghy.stop.signal).toBe(37);
  const volume: ResolvedMount = { type: 'volume', source: '/v', target: '/data', readOnly: false, options: [] };
  expect(specOf({}, { mounts: [volume] }).dinghy.copyUp).toEqual(['/data']);
});

test('without root: no device rules, no group that is not mapped', () => {
  const spec = specOf({}, { rootless: { uid: 1000, gid: 1000 } });
  expect(spec.linux.resources).toEqual({});
  expect(spec.linux.sysctl).not.toHaveProperty('net.ipv4.ping_group_range');
  expect(spec.mounts.find(({ destination }) => destination === '/dev/pts')?.options).not.toContain('gid=5');
  expect(spec.dinghy.rootless).toEqual({ uid: 1000, gid: 1000 });
});
