import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { mediaTypes } from '../../lib/oci/media-types';
import { blobsOf, ociArchive, tarOf } from '../support/archives';
import { Bench } from '../support/e2e';
import { archiveKinds, engineStarters, type OtherEngine, type OtherEngineName } from '../support/engines';
import { recipes } from '../support/layer-recipes';
import { type BuiltImage, type BuiltLayer, buildImage } from '../support/random-image';
import { removeFolder, temporaryFolder } from '../support/temporary-folder';

// What Docker, Podman and Buildah write we load, and what we write they load: by the programs themselves, for each has its own
// habits with names, compression, and what an archive's index says.
let bench: Bench;

beforeAll(async () => {
  bench = await Bench.open({ busybox: '1' });
}, 600_000);
afterAll(() => bench.close());

interface Inspected {
  id: string;
  layers: string[];
  config: Record<string, unknown>;
}

/** Runs the command line on a data folder of its own, which has nothing to do with `bench`'s. */
class Elsewhere {
  readonly folder = temporaryFolder('elsewhere');

  cli(...args: string[]): string {
    const { env } = bench;
    const result = bench.cli(args, '', { ...env, DINGHY_ROOT: join(this.folder, 'root') });
    if (result.status !== 0) throw new Error(`dinghy ${args.join(' ')}: ${result.stderr}`);
    return result.stdout;
  }

  inspect(name: string): Inspected {
    return (JSON.parse(this.cli('inspect', name)) as Inspected[])[0]!;
  }

  [Symbol.dispose](): void {
    removeFolder(this.folder);
  }
}

const mustRun = (...args: string[]): string => {
  const { status, stdout, stderr } = bench.cli(args);
  if (status !== 0) throw new Error(`dinghy ${args.join(' ')}: ${stderr}`);
  return stdout;
};

describe.each(Object.keys(engineStarters) as OtherEngineName[])('%s', (program) => {
  let engine: OtherEngine;
  let folder: string;
  const [base, built] = [`localhost/${program}/busybox:1`, `localhost/${program}/built:1`];
  beforeAll(async () => {
    engine = await engineStarters[program]();
    folder = temporaryFolder('engines');
    mustRun('pull', '-q', 'busybox:1');
    mustRun('tag', 'busybox:1', base);
    mustRun('save', '-o', join(folder, 'base'), base);
    engine.load(join(folder, 'base'), 'docker-archive', base);
    engine.build(context(folder, base), built);
  }, 60_000);
  afterAll(async () => {
    removeFolder(folder);
    await engine.stop();
  });

  describe.each(archiveKinds[program])('by %s', (kind) => {
    it('loads what dinghy saves, and dinghy loads that image again from it', () => {
      const name = `localhost/${program}/${kind}:1`;
      writeFileSync(join(folder, 'made'), archiveOf(buildImage(hardLayers()), name));
      mustRun('load', '-i', join(folder, 'made'));
      mustRun('save', '--format', kind, '-o', join(folder, `ours-${kind}`), name);
      engine.load(join(folder, `ours-${kind}`), kind, name);
      engine.save(join(folder, `back-${kind}`), kind, name);

      using elsewhere = new Elsewhere();
      elsewhere.cli('load', '-i', join(folder, `back-${kind}`));
      const [before, after] = [JSON.parse(mustRun('inspect', name))[0] as Inspected, elsewhere.inspect(name)];
      expect(after.layers).toEqual(before.layers);
      expect(after.config).toEqual(before.config);
    });

    it('saves what it built on an image of dinghy, and that runs in dinghy', () => {
      engine.save(join(folder, `built-${kind}`), kind, built);

      using elsewhere = new Elsewhere();
      expect(elsewhere.cli('load', '-i', join(folder, `built-${kind}`))).toBe(`Loaded image: ${built}\n`);
      expect(elsewhere.inspect(built).config).toMatchObject({
        env: expect.objectContaining({ GREETING: 'ahoy' }),
        user: '1000:1000',
        workdir: '/srv',
        volumes: ['/data'],
        labels: expect.objectContaining({ made: 'here' }),
        stopSignal: 'SIGUSR1',
      });
      expect(elsewhere.cli('run', '--rm', '--network', 'none', built)).toBe('from a file\nahoy 1000 1000:640\n');
    });
  });
});

/** Of every kind that an archive can lose: whiteouts, links, attributes, names. */
function hardLayers(): BuiltLayer[] {
  const cases = [
    'whiteout of a file',
    'opaque after what is new',
    'hardlinks in a layer',
    'set-id and sticky bits',
    'attributes of users',
    'capabilities',
    'long names',
    'times to the nanosecond',
  ];
  return cases.flatMap((name) => recipes[name]!().layers);
}

function archiveOf(image: BuiltImage, name: string): Buffer {
  const annotations = { 'org.opencontainers.image.ref.name': name };
  const manifest = {
    mediaType: mediaTypes.ociManifest,
    digest: image.digest,
    size: image.manifest.length,
    annotations,
  };
  return tarOf(ociArchive(blobsOf(image), { schemaVersion: 2, manifests: [manifest] }));
}

/** Of a Dockerfile whose instructions run nothing; once. */
function context(folder: string, base: string): string {
  const path = join(folder, 'context');
  mkdirSync(join(path, 'files/deep'), { recursive: true });
  writeFileSync(join(path, 'files/deep/file'), 'from a file\n');
  mkdirSync(join(path, 'private'), { recursive: true });
  writeFileSync(join(path, 'private/key'), 'key');
  chmodSync(join(path, 'private/key'), 0o640);
  writeFileSync(
    join(path, 'Dockerfile'),
    `FROM ${base}
LABEL made=here
ENV GREETING=ahoy
COPY files /srv/
COPY --chown=1000:1000 private /srv/private/
VOLUME /data
WORKDIR /srv
STOPSIGNAL SIGUSR1
USER 1000:1000
ENTRYPOINT ["/bin/sh", "-c"]
CMD ["cat deep/file; echo $GREETING $(id -u) $(stat -c %u:%a private/key)"]
`,
  );
  return path;
}
