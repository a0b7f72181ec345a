import { applyChanges, settleChanges } from '../../../lib/oci/changes';

describe('Dockerfile instructions', () => {
  test.each<[string[], object]>([
    [['CMD echo hi'], { command: ['/bin/sh', '-c', 'echo hi'] }],
    [['cmd ["echo", "a b"]'], { command: ['echo', 'a b'] }],
    [['ENTRYPOINT ["/init"]'], { entrypoint: ['/init'], command: [] }],
    [['ENV A=b C="d e" F=g\\ h', "ENV I='j'"], { env: { A: 'b', C: 'd e', F: 'g h', I: 'j' } }],
    [['ENV OLD form of it'], { env: { OLD: 'form of it' } }],
    [['ENV A=1', 'ENV A=2'], { env: { A: '2' } }],
    [['ENV EMPTY='], { env: { EMPTY: '' } }],
    [['LABEL "a.b"="c"  d=e'], { labels: { 'a.b': 'c', d: 'e' } }],
    [['EXPOSE 80 53/udp', 'EXPOSE 8000-8002/TCP'], { ports: ['80/tcp', '53/udp', '8000/tcp', '8001/tcp', '8002/tcp'] }],
    [['VOLUME /a /b', 'VOLUME ["/c d"]'], { volumes: ['/a', '/b', '/c d'] }],
    [['USER 1000:50'], { user: '1000:50' }],
    [['WORKDIR /srv', 'WORKDIR app'], { workdir: '/srv/app' }],
    [['STOPSIGNAL SIGQUIT'], { stopSignal: 'SIGQUIT' }],
    [['HEALTHCHECK NONE'], { healthcheck: { test: ['NONE'] } }],
    [
      ['HEALTHCHECK --interval=1m30s --retries=3 CMD curl -f localhost'],
      { healthcheck: { test: ['CMD-SHELL', 'curl -f localhost'], intervalMs: 90_000, retries: 3 } },
    ],
    [
      ['HEALTHCHECK --timeout=5s --start-period=2s CMD ["ok"]'],
      { healthcheck: { test: ['CMD', 'ok'], timeoutMs: 5000, startPeriodMs: 2000 } },
    ],
  ])('%j', (instructions, config) => {
    expect(applyChanges({}, instructions)).toEqual(config);
  });

  test.each([
    'FROM x',
    'RUN make',
    '',
    'ENV',
    'ENV A',
    'LABEL =b',
    'EXPOSE http',
    'EXPOSE 9-8',
    'HEALTHCHECK curl',
    'HEALTHCHECK --nope=1 CMD x',
    'constructor x',
    'ENV A="b',
    "LABEL A='b",
    'ENV A=${B',
    'EXPOSE 70000',
    'STOPSIGNAL NONSENSE',
    'VOLUME relative',
    'HEALTHCHECK CMD []',
    'ONBUILD ONBUILD RUN x',
    'ONBUILD FROM x',
  ])('%j is refused, and named', (instruction) => {
    expect(() => settleChanges([instruction])).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_OPTION', details: { option: 'changes', instruction } }),
    );
    expect(() => settleChanges([instruction])).toThrow(JSON.stringify(instruction));
  });

  test('what is no array of texts is refused', () => {
    for (const value of ['ENV A=b', [1], ['ENV A=\0'], null]) {
      expect(() => settleChanges(value)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_OPTION' }));
    }
  });
});

describe('over what an image says', () => {
  const base = {
    env: { PATH: '/bin', EMPTY: '' },
    command: ['old'],
    workdir: '/srv',
    ports: ['80/tcp'],
    labels: { a: '1' },
  };

  test.each<[string[], object]>([
    [['ENV PATH=/mine:$PATH'], { env: { PATH: '/mine:/bin', EMPTY: '' } }],
    [
      ['ENV A=\'$PATH\' B=\\$PATH C="$PATH" D=$NONE.'],
      { env: { ...base.env, A: '$PATH', B: '$PATH', C: '/bin', D: '.' } },
    ],
    [['ENV A=1 B=$A'], { env: { ...base.env, A: '1', B: '' } }],
    [
      ['ENV A=${PATH:-x} B=${NONE:-$PATH} C=${EMPTY:-e} D=${EMPTY-e} E=${PATH:+set} F=${EMPTY:+set}'],
      { env: { ...base.env, A: '/bin', B: '/bin', C: 'e', D: '', E: 'set', F: '' } },
    ],
    [['ENV OLD form $PATH'], { env: { ...base.env, OLD: 'form /bin' } }],
    [['WORKDIR app', 'WORKDIR ../lib'], { workdir: '/srv/lib' }],
    [['WORKDIR $PATH/x'], { workdir: '/bin/x' }],
    [['EXPOSE 80 81'], { ports: ['80/tcp', '81/tcp'] }],
    [['LABEL a=2 b=$PATH'], { labels: { a: '2', b: '/bin' } }],
    [['USER $PATH'], { user: '/bin' }],
    // As in Docker the old command belongs to the old entrypoint.
    [['ENTRYPOINT ["/init"]'], { entrypoint: ['/init'], command: [] }],
    [['CMD ["new"]', 'ENTRYPOINT ["/init"]'], { entrypoint: ['/init'], command: ['new'] }],
    [['CMD $PATH'], { command: ['/bin/sh', '-c', '$PATH'] }],
    [['ONBUILD RUN make', 'ONBUILD COPY . /'], { onBuild: ['RUN make', 'COPY . /'] }],
  ])('%j', (instructions, changed) => {
    expect(applyChanges(base, instructions)).toEqual({ ...base, ...changed });
  });

  test('a shell of its own runs what is no array', () => {
    expect(applyChanges({ shell: ['/bin/bash', '-ec'] }, ['CMD a b'])).toMatchObject({
      command: ['/bin/bash', '-ec', 'a b'],
    });
  });
});
