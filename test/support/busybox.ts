import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { Runtime, type RuntimeOptions } from '../../lib';
import { ChildProgram, type StartedProgram, startProgram } from './child-program';
import { type BuiltImage, buildImage, buildLayer } from './random-image';
import { TestRegistry } from './registry';
import type { TarEntry } from './tar-builder';
import { removeFolder, temporaryFolder } from './temporary-folder';

/** busybox with all its applets (Debian's busybox-static), a few users, and the folders that programs expect. */
export function busyboxImage(config: Record<string, unknown> = {}, more: TarEntry[] = []): BuiltImage {
  const program = readFileSync('/usr/bin/busybox');
  const applets = spawnSync('/usr/bin/busybox', ['--list'], { encoding: 'utf8' }).stdout.split('\n').filter(Boolean);
  const base = buildLayer([
    { name: 'bin/', type: '5' },
    { name: 'bin/busybox', mode: 0o755, content: program },
    ...applets
      .filter((name) => name !== 'busybox')
      .map((name) => ({ name: `bin/${name}`, type: '1', link: 'bin/busybox' })),
    { name: 'etc/', type: '5' },
    {
      name: 'etc/passwd',
      content: 'root:x:0:0::/root:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\napp:x:1000:1000::/home/app:/bin/sh\n',
    },
    { name: 'etc/group', content: 'root:x:0:\nstaff:x:50:app\napp:x:1000:\nnogroup:x:65534:\n' },
    { name: 'root/', type: '5', mode: 0o700 },
    { name: 'tmp/', type: '5', mode: 0o1777 },
    { name: 'var/', type: '5' },
    { name: 'home/', type: '5' },
    { name: 'home/app/', type: '5', uid: 1000, gid: 1000 },
  ]);
  const layers = more.length > 0 ? [base, buildLayer(more)] : [base];
  return buildImage(layers, { config: { Env: ['PATH=/bin', 'FROM_IMAGE=yes'], Cmd: ['/bin/sh'], ...config } });
}

/** A Runtime on folders of its own, with busybox (and what else is added) in it. */
export class TestBed {
  readonly folder = temporaryFolder('bed');
  readonly root = join(this.folder, 'root');
  readonly state = join(this.folder, 'run');
  readonly registry: TestRegistry;
  readonly runtime: Runtime;
  busybox = '';
  #program: ChildProgram | undefined;

  private constructor(registry: TestRegistry, options: RuntimeOptions) {
    this.registry = registry;
    this.runtime = this.newRuntime(options);
  }

  static async make(options: RuntimeOptions = {}): Promise<TestBed> {
    const bed = new TestBed(await TestRegistry.start(), options);
    bed.busybox = await bed.add('test/busybox:1', busyboxImage());
    return bed;
  }

  newRuntime(options: RuntimeOptions = {}): Runtime {
    return new Runtime({ root: this.root, state: this.state, ...options });
  }

  /** The image is pulled into the store. */
  async add(name: string, image: BuiltImage): Promise<string> {
    const reference = this.registry.addImage(name, image);
    await this.runtime.pull(reference);
    return reference;
  }

  /** Another process on the same folders: see runtime-child.ts. */
  child(code: string, given: unknown = null): StartedProgram {
    return startProgram(this.childCommand(code, given));
  }

  /** How it is called, for who runs it otherwise. */
  childCommand(code: string, given: unknown = null): string[] {
    this.#program ??= new ChildProgram(this.folder, 'runtime-child');
    return this.#program.command([this.state, code, JSON.stringify(given)]);
  }

  async remove(): Promise<void> {
    await this.runtime.close();
    await this.registry.stop();
    removeFolder(this.folder);
  }
}
