import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { sampleCgroup, unifiedIo } from '../../../lib/run/cgroup-stats';
import { parseNetDev } from '../../../lib/run/net-dev';
import { removeFolder, temporaryFolder } from '../../support/temporary-folder';

let folder: string;
beforeEach(() => {
  folder = temporaryFolder('stats');
});
afterEach(() => removeFolder(folder));

function cgroup(name: string, files: Record<string, string>): string {
  const path = join(folder, name);
  mkdirSync(path, { recursive: true });
  Object.entries(files).forEach(([file, content]) => writeFileSync(join(path, file), content));
  return path;
}

test('cgroup v2', () => {
  const unified = cgroup('unified', {
    'cpu.stat': 'usage_usec 1500000\nuser_usec 1\nnr_throttled 2\nthrottled_usec 250000\n',
    'memory.current': '1000000\n',
    'memory.stat': 'anon 5\nfile 400000\ninactive_file 300000\n',
    'memory.max': '2000000\n',
    'pids.current': '3\n',
    'pids.max': 'max\n',
    'io.stat': '8:0 rbytes=100 wbytes=20 rios=1 wios=1 dbytes=0 dios=0\n8:16 rbytes=1 wbytes=2\n',
  });
  expect(sampleCgroup({ unified, controllers: {} })).toEqual({
    cpuUsageMs: 1500,
    cpuThrottledMs: 250,
    memoryBytes: 700000,
    cacheBytes: 400000,
    memoryLimitBytes: 2000000,
    pids: 3,
    readBytes: 101,
    writtenBytes: 22,
  });
});

test('cgroup v1', () => {
  const memory = cgroup('memory', {
    'memory.usage_in_bytes': '1000000\n',
    'memory.stat': 'cache 7\ninactive_file 1\ntotal_cache 400000\ntotal_inactive_file 300000\n',
    'memory.limit_in_bytes': '9223372036854771712\n',
  });
  const cpu = cgroup('cpu', {
    'cpu.stat': 'nr_periods 0\nthrottled_time 250000000\n',
    'cpuacct.usage': '1500000000\n',
  });
  const pids = cgroup('pids', { 'pids.current': '3\n', 'pids.max': '64\n' });
  const blkio = cgroup('blkio', {
    'blkio.throttle.io_service_bytes_recursive': '',
    'blkio.throttle.io_service_bytes': '8:0 Read 100\n8:0 Write 20\n8:0 Total 120\n8:16 Read 1\nTotal 121\n',
  });
  expect(sampleCgroup({ controllers: { memory, cpu, cpuacct: cpu, pids, blkio } })).toEqual({
    cpuUsageMs: 1500,
    cpuThrottledMs: 250,
    memoryBytes: 700000,
    cacheBytes: 400000,
    pids: 3,
    pidsLimit: 64,
    readBytes: 100 + 1,
    writtenBytes: 20,
  });
});

test('what a host does not count is 0, and more unused cache than use is no negative number', () => {
  const unified = cgroup('bare', { 'memory.current': '10\n', 'memory.stat': 'inactive_file 20\n' });
  expect(sampleCgroup({ unified, controllers: {} })).toEqual({
    cpuUsageMs: 0,
    cpuThrottledMs: 0,
    memoryBytes: 10,
    cacheBytes: 0,
    pids: 0,
    readBytes: 0,
    writtenBytes: 0,
  });
  expect(unifiedIo('8:0 crbytes=5\n')).toEqual({ readBytes: 0, writtenBytes: 0 });
});

test('interfaces, without loopback', () => {
  const text =
    'Inter-|   Receive                                                |  Transmit\n' +
    ' face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n' +
    '    lo:     100       1    0    0    0     0          0         0      100       1    0    0    0     0       0          0\n' +
    '  eth0: 1234567      10    1    2    0     0          0         0     7654      20    3    4    0     0       0          0\n';
  expect(parseNetDev(text)).toEqual({
    eth0: {
      receivedBytes: 1234567,
      receivedPackets: 10,
      receiveErrors: 1,
      receiveDropped: 2,
      sentBytes: 7654,
      sentPackets: 20,
      sendErrors: 3,
      sendDropped: 4,
    },
  });
});
