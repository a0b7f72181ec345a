import { configOfContainer, mergeConfig } from '../../../lib/oci/container-config';
import { parseImageConfig } from '../../../lib/oci/image-config';
import { settleOptions } from '../../../lib/run/settle-options';

const image = (config: object): ReturnType<typeof parseImageConfig>['config'] =>
  parseImageConfig(Buffer.from(JSON.stringify({ rootfs: { type: 'layers', diff_ids: [] }, config }))).config;

const full = image({
  Env: ['PATH=/bin', 'A=1', 'BARE'],
  Entrypoint: ['/init'],
  Cmd: ['serve'],
  User: 'app',
  WorkingDir: '/srv',
  ExposedPorts: { '80/tcp': {} },
  Volumes: { '/data': {} },
  Labels: { a: '1' },
  StopSignal: 'SIGQUIT',
  Healthcheck: { Test: ['CMD', 'ok'], Interval: 1e9, Retries: 4 },
  Shell: ['/bin/bash', '-c'],
});

const same = {
  env: { PATH: '/bin', A: '1', BARE: '' },
  entrypoint: ['/init'],
  command: ['serve'],
  user: 'app',
  workdir: '/srv',
  ports: ['80/tcp'],
  volumes: ['/data'],
  labels: { a: '1' },
  stopSignal: 'SIGQUIT',
  healthcheck: { test: ['CMD', 'ok'], intervalMs: 1000, retries: 4 },
  shell: ['/bin/bash', '-c'],
};

describe('what an image of a container says', () => {
  const of = (options: object): object => configOfContainer(full, settleOptions({ ...options }));

  test.each<[object, object]>([
    [{}, {}],
    [{ name: 'web', memory: '1g', network: 'none', hostname: 'h', mounts: ['/host:/x', 'named:/y'] }, {}],
    [{ env: { A: '2', B: '3' } }, { env: { ...same.env, A: '2', B: '3' } }],
    [{ command: ['x'] }, { command: ['x'] }],
    // The image's command belongs to the image's entrypoint.
    [{ entrypoint: ['/mine'] }, { entrypoint: ['/mine'], command: [] }],
    [
      { entrypoint: ['/mine'], command: ['x'] },
      { entrypoint: ['/mine'], command: ['x'] },
    ],
    [{ ports: ['8080:81', '53/udp'] }, { ports: ['80/tcp', '81/tcp', '53/udp'] }],
    [{ mounts: ['/anonymous'] }, { volumes: ['/data', '/anonymous'] }],
    [{ labels: { a: '2', b: '3' } }, { labels: { a: '2', b: '3' } }],
    [{ stopSignal: '9' }, { stopSignal: 'SIGKILL' }],
    [{ healthcheck: { retries: 9, intervalMs: 0 } }, { healthcheck: { ...same.healthcheck, retries: 9 } }],
    [{ healthcheck: { test: ['NONE'] } }, { healthcheck: { ...same.healthcheck, test: ['NONE'] } }],
    [
      { user: '0', workdir: '/' },
      { user: '0', workdir: '/' },
    ],
  ])('made with %j', (options, changed) => {
    expect(of(options)).toEqual({ ...same, ...changed });
  });

  test('of an image that says nothing nothing is made up', () => {
    expect(configOfContainer(image({}), settleOptions({}))).toEqual({
      env: {},
      entrypoint: [],
      command: [],
      user: '',
      workdir: '/',
      ports: [],
      volumes: [],
      labels: {},
      shell: ['/bin/sh', '-c'],
    });
  });
});

test('what is given goes over it: maps and lists of names are joined, all else is replaced', () => {
  const given = { env: { A: '2', B: '3' }, labels: { b: '2' }, ports: ['53/udp'], volumes: ['/v'], user: '' };
  expect(mergeConfig(given, same)).toEqual({
    ...same,
    env: { ...same.env, A: '2', B: '3' },
    labels: { a: '1', b: '2' },
    ports: ['80/tcp', '53/udp'],
    volumes: ['/data', '/v'],
    user: '',
  });
  expect(mergeConfig({ entrypoint: ['/x'] }, same)).toMatchObject({ entrypoint: ['/x'], command: [] });
  expect(mergeConfig({ command: ['y'] }, same)).toMatchObject({ entrypoint: ['/init'], command: ['y'] });
  expect(mergeConfig({ healthcheck: { test: ['CMD', 'z'] } }, same).healthcheck).toEqual({
    ...same.healthcheck,
    test: ['CMD', 'z'],
  });
  expect(mergeConfig({}, {})).toEqual({ env: {}, labels: {}, ports: [], volumes: [], command: [] });
});
