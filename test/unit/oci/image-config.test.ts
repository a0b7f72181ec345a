import { chainIds } from '../../../lib/oci/chain-id';
import { parseImageConfig } from '../../../lib/oci/image-config';

const diffId = `sha256:${'a'.repeat(64)}`;
const parse = (more: object): ReturnType<typeof parseImageConfig> => {
  return parseImageConfig(
    Buffer.from(
      JSON.stringify({ os: 'linux', architecture: 'amd64', rootfs: { type: 'layers', diff_ids: [diffId] }, ...more }),
    ),
  );
};

describe('parseImageConfig', () => {
  it('fills in every default', () => {
    for (const config of [
      undefined,
      null,
      {},
      { Env: null, Cmd: null, Labels: null, Volumes: null, Healthcheck: null },
    ]) {
      expect(parse({ config }).config).toEqual({
        env: [],
        entrypoint: [],
        command: [],
        user: '',
        workdir: '/',
        ports: [],
        volumes: [],
        labels: {},
        shell: ['/bin/sh', '-c'],
      });
    }
  });

  it('reads everything', () => {
    const document = parse({
      variant: 'v2',
      created: '2026-01-02T03:04:05.123456789Z',
      config: {
        User: 'app:users',
        ExposedPorts: { '80/tcp': {} },
        Env: ['A=b'],
        Entrypoint: ['/e'],
        Cmd: ['c'],
        Volumes: { '/data': {} },
        WorkingDir: '/w',
        Labels: { ['__proto__']: 'data only' },
        StopSignal: 'SIGQUIT',
        Healthcheck: { Test: ['CMD', 'x'], Interval: 1_500_000_000, Retries: 3 },
      },
      history: [{ created_by: 'a', empty_layer: true }, { created: 'not a date' }],
    });
    expect(document.created?.getTime()).toBe(Date.UTC(2026, 0, 2, 3, 4, 5, 123));
    expect(document.config.healthcheck).toEqual({ test: ['CMD', 'x'], intervalMs: 1500, retries: 3 });
    expect(Object.keys(document.config.labels)).toEqual(['__proto__']);
    expect(Object.getPrototypeOf(document.config.labels)).toBe(Object.prototype);
    expect(document.history).toMatchObject([{ createdBy: 'a', emptyLayer: true }, { emptyLayer: false }]);
    expect(document).toMatchObject({
      platform: { variant: 'v2' },
      config: { ports: ['80/tcp'], volumes: ['/data'], stopSignal: 'SIGQUIT' },
    });
  });

  it.each([
    ['no rootfs', { rootfs: undefined }],
    ['another rootfs', { rootfs: { type: 'erofs', diff_ids: [] } }],
    ['Env as an object', { config: { Env: {} } }],
    ['a number in Cmd', { config: { Cmd: [1] } }],
    ['a negative interval', { config: { Healthcheck: { Test: ['CMD'], Interval: -1 } } }],
  ])('refuses %s', (_name, more) => {
    expect(() => parse(more)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_IMAGE' }));
  });
});

describe('chainIds', () => {
  // image-spec, config.md: ChainID(L0) = DiffID(L0), ChainID(n) = sha256(ChainID(n-1) + " " + DiffID(n)).
  it('names each layer with all below it', () => {
    expect(chainIds([])).toEqual([]);
    const [first, second] = chainIds([diffId, diffId]);
    expect(first).toBe(diffId);
    expect(second).toBe(
      'sha256:' + require('node:crypto').createHash('sha256').update(`${diffId} ${diffId}`).digest('hex'),
    );
  });
});
