import { spawnSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import type { MountOption } from '../../lib';
import { busyboxImage, TestBed } from '../support/busybox';

let bed: TestBed;
beforeEach(async () => {
  bed = await TestBed.make();
});
afterEach(async () => {
  await bed.remove();
});

async function sh(mounts: MountOption[], script: string): Promise<string> {
  const { stdout, stderr } = await bed.runtime.exec(bed.busybox, ['sh', '-c', script], { network: 'none', mounts });
  return stdout + stderr;
}

async function volumeAt(name: string): Promise<string> {
  return (await (await bed.runtime.createVolume({ name })).inspect()).path;
}

describe('a subpath of a volume', () => {
  const at = (subpath: string): MountOption[] => [{ type: 'volume', source: 'data', target: '/d', subpath }];

  test('is a folder or a file in it, and nothing else of it is seen', async () => {
    const data = await volumeAt('data');
    mkdirSync(join(data, 'a/b'), { recursive: true });
    writeFileSync(join(data, 'a/b/file'), 'inner');
    expect(await sh(at('a/b'), 'ls /d; cat /d/file; echo more > /d/new; ls /d/..')).toMatch(/^file\ninner/);
    expect(await sh(at('a/b'), 'cat /d/new')).toBe('more\n');
    expect(await sh(at('a/b/file'), 'cat /d')).toBe('inner');
  });

  test('must be there; the container is not started and stays as it was', async () => {
    await volumeAt('data');
    const container = await bed.runtime.create(bed.busybox, { network: 'none', mounts: at('none/here') });
    await expect(container.start()).rejects.toMatchObject({
      code: 'ERR_CONTAINER_START',
      step: 'mount /d',
      cause: { code: 'ENOENT' },
    });
    expect((await container.inspect()).status).toBe('created');
  });

  test('follows links inside the volume, and none out of it (CVE-2017-1002101)', async () => {
    const data = await volumeAt('data');
    mkdirSync(join(data, 'real'));
    writeFileSync(join(data, 'real/file'), 'of the volume');
    symlinkSync('real', join(data, 'inside'));
    symlinkSync('/', join(data, 'up'));
    symlinkSync('../../../../../../../../etc', join(data, 'etc'));
    symlinkSync('/proc/self/root', join(data, 'magic'));
    expect(await sh(at('inside'), 'cat /d/file')).toBe('of the volume');
    // The root that an absolute link starts from is the volume's.
    expect(await sh(at('up'), 'ls /d')).toBe('etc\ninside\nmagic\nreal\nup\n');
    for (const subpath of ['etc', 'magic']) {
      await expect(sh(at(subpath), 'ls /d')).rejects.toMatchObject({ code: 'ERR_CONTAINER_START', step: 'mount /d' });
    }
  });

  test('stays inside while another container swaps it for links', async () => {
    const data = await volumeAt('data');
    mkdirSync(join(data, 'd/x'), { recursive: true });
    writeFileSync(join(data, 'd/x/mark'), '');
    const swapper = await bed.runtime.run(bed.busybox, {
      network: 'none',
      mounts: ['data:/v'],
      command: [
        'sh',
        '-c',
        'ln -s / /v/out; while :; do mv /v/d /v/e; mv /v/out /v/d; mv /v/d /v/out; mv /v/e /v/d; done',
      ],
    });
    const seen = new Set<string>();
    for (let round = 0; round < 40; round++) {
      seen.add(
        await sh(at('d/x'), 'ls /d').catch((error: { code: string; step: string }) => `${error.code} ${error.step}`),
      );
    }
    await swapper.close();
    expect([...seen].filter((one) => !['mark\n', 'ERR_CONTAINER_START mount /d'].includes(one))).toEqual([]);
    expect(seen).toContain('mark\n');
  });
});

test('an empty volume is filled from the image, unless told not to', async () => {
  const image = await bed.add(
    'test/filled:1',
    busyboxImage({}, [
      { name: 'seed/', type: '5' },
      { name: 'seed/file', content: 'image' },
    ]),
  );
  const list = async (mount: string): Promise<string> =>
    (await bed.runtime.exec(image, ['ls', '/seed'], { network: 'none', mounts: [mount] })).stdout;
  expect(await list('one:/seed')).toBe('file\n');
  expect(await list('two:/seed:nocopy')).toBe('');
});

test('a read-only bind is read-only to its depth, as far as was asked for', async () => {
  const source = join(bed.folder, 'source');
  mkdirSync(join(source, 'below'), { recursive: true });
  const mounted = spawnSync('mount', ['-t', 'tmpfs', 'dinghy-test', join(source, 'below')]);
  expect(mounted.status).toBe(0);
  try {
    writeFileSync(join(source, 'below/file'), 'below');
    const attempt = (mount: Partial<MountOption>): Promise<string> =>
      sh(
        [{ type: 'bind', source, target: '/d', readOnly: true, ...mount }],
        'cat /d/below/file; touch /d/new 2>/dev/null && echo top; touch /d/below/new 2>/dev/null && echo low; true',
      );
    expect(await attempt({})).toBe('below');
    expect(await attempt({ recursive: 'readonly' })).toBe('below');
    expect(await attempt({ recursive: 'writable' })).toBe('belowlow\n');
    expect(await attempt({ recursive: 'disabled' })).toContain("can't open '/d/below/file'");
    expect(await attempt({ readOnly: false })).toBe('belowtop\nlow\n');
  } finally {
    spawnSync('umount', [join(source, 'below')]);
  }
});
