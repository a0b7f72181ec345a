import type { Runtime } from '../../lib';
import { type Image } from '../../lib';

// Setting something up once, and starting every test from an image of that.
export async function prepared(runtime: Runtime, base: string, signal: AbortSignal): Promise<Image> {
  const container = await runtime.run(base, { command: ['sleep', '60'] });
  try {
    await container.exec(['make', 'everything'], { check: true, signal });
    const image: Image = await container.commit({
      reference: 'mine/prepared:1',
      config: { env: { READY: 'yes' }, labels: { step: 'setup' } },
      changes: ['CMD ["serve"]', 'WORKDIR /srv'],
      author: 'A. Nonymous',
      message: 'everything made',
      pause: true,
      signal,
    });
    await image.save('prepared.tar');
    return image;
  } finally {
    await container.close();
  }
}

export async function bare(runtime: Runtime, root: string): Promise<Image> {
  return runtime.import(root, { changes: ['ENV A=b'] });
}
