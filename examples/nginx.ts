// A web server in a container, from the pull to the removal: node examples/build/nginx.js [image]
import { Runtime } from 'dinghy';

import { progressBar, timed } from './console';

async function main(runtime: Runtime): Promise<void> {
  const reference = process.argv[2] ?? 'nginx:1.18';
  const image = await timed('pull', () => runtime.pull(reference, { onProgress: progressBar() }));
  const nginx = await timed('run', () =>
    runtime.run(image, { name: 'nginx-server', ports: ['8001:80'], waitFor: { port: 80 } }),
  );
  const page = await timed('fetch', async () => (await fetch('http://localhost:8001')).text());
  console.log(`  ${/<title>(.*)<\/title>/.exec(page)?.[1]}`);
  await timed('log', async () => {
    for await (const { line } of nginx.logs({ follow: true }))
      if (line.includes('GET /')) return console.log(`  ${line}`);
  });
  const { stderr } = await timed('exec', () => nginx.exec(['nginx', '-v']));
  console.log(`  ${stderr.trim()}`);
  await timed('stop', () => nginx.stop());
  await timed('remove', () => nginx.remove());
}

const runtime = new Runtime();
void main(runtime).finally(() => runtime.close());
