// A program that pulls, removes and collects as its seed says: `node store-child.js ROOT SEED STEPS REFERENCE…`.
import { isDinghyError } from '../../lib/errors';
import { pullImage } from '../../lib/pull/pull';
import { removeImage } from '../../lib/store/removal';
import { Store } from '../../lib/store/store';
import { seededRandom } from './random-image';

// What a race may rightly end in: somebody else was faster.
const expected = ['ERR_IMAGE_NOT_FOUND', 'ERR_STORE'];

async function main(): Promise<void> {
  const [root = '', seed = '0', steps = '0', ...references] = process.argv.slice(2);
  const random = seededRandom(Number(seed));
  const pick = (): string => references[Math.floor(random() * references.length)]!;
  const store = new Store({ root });
  const registry = { retry: { baseMs: 5 }, env: { HOME: root } };
  for (let step = 0; step < Number(steps); step++) {
    const kind = random();
    try {
      if (kind < 0.5) {
        const image = await pullImage(pick(), { store, registry });
        console.log(`pulled ${image.id}`);
      } else if (kind < 0.85) {
        await removeImage(store, await store.images.get(pick()), { users: [], force: true });
      } else {
        await store.collect();
      }
    } catch (error) {
      if (!isDinghyError(error) || !expected.includes(error.code) || (kind < 0.5 && error.code !== 'ERR_STORE')) {
        throw error;
      }
    }
  }
  await store.close();
}

main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
