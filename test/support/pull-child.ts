// A program that pulls: `node pull-child.js ROOT REFERENCE…`. Prints a line of JSON for each image.
import { pullImage } from '../../lib/pull/pull';
import { Store } from '../../lib/store/store';

async function main(): Promise<void> {
  const [root = '', ...references] = process.argv.slice(2);
  const store = new Store({ root });
  const registry = { retry: { baseMs: 5 }, env: { HOME: root } };
  await Promise.all(
    references.map(async (reference) => {
      const { id } = await pullImage(reference, { store, registry });
      console.log(JSON.stringify({ reference, id }));
    }),
  );
  await store.close();
}

main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
