// Runs in the virtual machine (test/support/vm): drives dinghy on a host with cgroup v2 alone and a data folder that lies on an
// overlay. Writes one line of JSON; test/e2e/cgroup-v2.test.ts judges it.
'use strict';
const { existsSync, readFileSync } = require('node:fs');
const { Runtime } = require('dinghy');

async function main() {
  const runtime = new Runtime({ root: process.argv[2], state: '/run/dinghy' });
  const { cgroup, rootfs, usable, reasons } = await runtime.info();
  const none = { network: 'none', pull: 'never' };
  const seen = { info: { cgroup, rootfs, usable, reasons } };

  const files = ['memory.max', 'pids.max', 'cpu.max'].map((file) => `/sys/fs/cgroup/${file}`);
  const limits = { memory: '64m', pids: 30, cpus: 0.5 };
  seen.limits = await runtime.exec('busybox:1', ['cat', ...files], { ...none, ...limits });

  seen.oom = await runtime.exec('busybox:1', ['tail', '/dev/zero'], { ...none, memory: '16m', timeoutMs: 60_000 });
  seen.fork = await runtime.exec(
    'busybox:1',
    ['sh', '-c', 'for i in 1 2 3 4 5 6 7 8; do sleep 1 & done; echo forked; wait'],
    {
      ...none,
      pids: 4,
      timeoutMs: 60_000,
    },
  );
  seen.written = await runtime.exec(
    'busybox:1',
    ['sh', '-c', 'echo new > /etc/made && rm /etc/passwd && ls /etc'],
    none,
  );

  const container = await runtime.run('busybox:1', { ...none, command: ['sleep', '600'] });
  const { pid } = await container.inspect();
  seen.cgroup = readFileSync(`/proc/${pid}/cgroup`, 'utf8');
  await container.pause();
  seen.frozen = (await container.inspect()).status;
  await container.unpause();
  seen.exec = await container.exec(['cat', '/proc/self/cgroup']);
  await runtime.close();
  seen.left = existsSync('/sys/fs/cgroup/dinghy');
  console.log(`SEEN ${JSON.stringify(seen)}`);
}
void main();
