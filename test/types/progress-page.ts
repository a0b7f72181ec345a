// A web page that shows a pull as it goes, and lists what is here.
import { createServer } from 'node:http';
import { DinghyError, Runtime, type Image, type Progress } from 'dinghy';

const runtime = new Runtime({
  registries: { 'registry.example.com': { mirrors: ['mirror.example.com'], ca: '-----BEGIN CERTIFICATE-----' } },
});

export const server = createServer((request, response) => {
  const reference = new URL(request.url ?? '/', 'http://localhost').searchParams.get('image');
  if (!reference) {
    void list().then((rows) => response.end(rows.join('\n')));
    return;
  }
  const controller = new AbortController();
  request.on('close', () => controller.abort(new Error('the browser went away')));
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  const send = (data: unknown): boolean => response.write(`data: ${JSON.stringify(data)}\n\n`);
  const onProgress = ({ phase, digest, current, total, overall }: Progress): void => {
    send({ phase, digest, current, total, percent: overall.total ? (100 * overall.current) / overall.total : null });
  };
  runtime
    .pull(reference, { platform: 'linux/amd64', onProgress, signal: controller.signal, auth: { identityToken: 'x' } })
    .then((image: Image) => send({ done: image.id, digest: image.digest, layers: image.layers.length }))
    .catch((error: unknown) => send({ error: error instanceof DinghyError ? error.code : String(error) }))
    .finally(() => response.end());
});

async function list(): Promise<string[]> {
  const images = await runtime.images({ filters: { label: 'app=web' } });
  return images.map(({ references, size, created, config }) =>
    [references.join(' '), size, created?.toISOString() ?? '', config.entrypoint.concat(config.command).join(' ')].join(
      '\t',
    ),
  );
}
