import { locateCgroup, parseMounts } from '../../../lib/run/cgroup-folders';

const id = 'c0ffee'.padEnd(64, '0');
const v2 = '31 23 0:28 / /sys/fs/cgroup rw,relatime shared:4 - cgroup2 cgroup2 rw,nsdelegate\n';
const hybrid =
  '32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n' +
  '33 31 0:30 / /sys/fs/cgroup/my\\040memory rw - cgroup cgroup rw,memory\n' +
  '34 31 0:31 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd\n' +
  '35 31 0:32 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n';

test('v2: one folder, also when a program inside moved further down', () => {
  for (const path of [`/dinghy/${id}`, `/dinghy/${id}/init.scope`]) {
    expect(locateCgroup(`0::${path}\n`, parseMounts(v2), id)).toEqual({
      unified: `/sys/fs/cgroup/dinghy/${id}`,
      controllers: {},
    });
  }
});

test('v1: a folder for each controller', () => {
  const places = `2:memory:/dinghy/${id}\n1:cpu,cpuacct:/dinghy/${id}\n3:name=systemd:/\n0::/\n`;
  expect(locateCgroup(places, parseMounts(hybrid), id)).toEqual({
    controllers: {
      memory: `/sys/fs/cgroup/my memory/dinghy/${id}`,
      cpu: `/sys/fs/cgroup/cpu,cpuacct/dinghy/${id}`,
      cpuacct: `/sys/fs/cgroup/cpu,cpuacct/dinghy/${id}`,
    },
  });
});

test('a mount that shows a part of the hierarchy', () => {
  const mounts = parseMounts(v2.replace(' / /sys', ' /docker/abc /sys'));
  expect(locateCgroup(`0::/docker/abc/dinghy/${id}\n`, mounts, id)?.unified).toBe(`/sys/fs/cgroup/dinghy/${id}`);
  expect(locateCgroup(`0::/elsewhere/${id}\n`, mounts, id)).toBeUndefined();
});

test("in its creator's cgroup it has none", () => {
  expect(locateCgroup('0::/user.slice\n', parseMounts(v2), id)).toBeUndefined();
});
