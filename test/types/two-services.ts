// An application and its database on a network of their own, reachable by name, kept by a development server.
import { Runtime, type ContainerOptions } from 'dinghy';

const limits: ContainerOptions = { memory: '256m', restart: { policy: 'on-failure', maxRetries: 3 } };

export async function main(): Promise<number | null> {
  await using runtime = new Runtime();
  await using network = await runtime.createNetwork({ subnet: '10.77.0.0/24', internal: false });
  const redis = await runtime.run('redis:7', {
    ...limits,
    name: 'cache',
    network,
    aliases: ['redis'],
    mounts: ['cache-data:/data'],
    healthcheck: { test: ['redis-cli', 'ping'], intervalMs: 500, retries: 10 },
    waitFor: { healthy: true },
  });
  const web = await runtime.run('my/web:latest', {
    ...limits,
    network: { [network.name]: { aliases: ['web'] } },
    env: { REDIS_URL: 'redis://redis:6379' },
    ports: ['127.0.0.1:8080:80', { containerPort: 9229, protocol: 'tcp' }],
    mounts: [{ type: 'bind', source: process.cwd(), target: '/app', readOnly: true }],
    hostPorts: [3000],
    waitFor: [{ port: 80 }, { http: { port: 80, path: '/healthz', status: 200 } }],
  });
  const { networks, status } = await web.inspect();
  console.log(redis.name, status, networks[network.name]?.address);
  void (async () => {
    for await (const { stream, time, line } of web.logs({ follow: true, tail: 10 })) {
      console.log(time.toISOString(), stream, line);
    }
  })();
  for await (const event of runtime.events({ filters: { container: web.id } })) {
    if (event.action === 'die') {
      break;
    }
  }
  const { exitCode } = await web.wait();
  return exitCode;
}
