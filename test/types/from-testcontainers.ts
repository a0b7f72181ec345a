// What a suite written for testcontainers becomes. On the left, in comments, what it said there.
import { Runtime, type RunOptions } from 'dinghy';

const runtime = new Runtime();

export async function suite(): Promise<void> {
  // new GenericContainer('redis:7').withExposedPorts(6379)
  //   .withEnvironment({ A: '1' }).withCommand(['redis-server', '--save', '']).withReuse()
  //   .withWaitStrategy(Wait.forLogMessage('Ready to accept connections')).withStartupTimeout(30_000).start()
  const options: RunOptions = {
    ports: [6379],
    env: { A: '1' },
    command: ['redis-server', '--save', ''],
    reuse: 'redis-for-tests',
    signal: AbortSignal.timeout(30_000),
    waitFor: { log: 'Ready to accept connections' },
  };
  const container = await runtime.run('redis:7', options);

  // container.getHost(), container.getMappedPort(6379)
  const { host, port } = await container.port(6379);
  console.log(`redis://${host}:${port}`);

  // container.exec(['redis-cli', 'ping']) → { output, exitCode }
  const { stdout, exitCode } = await container.exec(['redis-cli', 'ping']);
  console.log(stdout, exitCode);

  // container.logs() → a stream
  for await (const { line } of container.logs({ stdout: true })) {
    console.log(line);
  }

  // withCopyContentToContainer, withBindMounts, withTmpFs, withUser, withPrivilegedMode, withAddedCapabilities, withUlimits
  await using other = await runtime.run('debian:12', {
    files: [{ path: '/etc/app.conf', content: 'a=1\n' }],
    mounts: ['/srv/data:/data:ro'],
    tmpfs: { '/run': 'size=16m' },
    user: 'daemon',
    privileged: false,
    capAdd: ['NET_ADMIN'],
    ulimits: { nofile: { soft: 1024, hard: 4096 } },
    extraHosts: { 'db.internal': '10.1.2.3' },
    command: ['sleep', '60'],
  });
  const exact: Buffer = (await other.exec(['cat', '/etc/app.conf'], { encoding: 'buffer' })).stdout;
  console.log(exact.length);

  // container.stop()
  await container.stop({ timeoutMs: 1000 });
  await container.remove({ force: true, volumes: true });
  await runtime.close();
}
