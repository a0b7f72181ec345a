// A program that makes one folder of some, topmost first, and looks whether it is what they show: `node squash-child.js ROOT FOLDER…`.
import { checkSquash, squashedFolder } from '../../lib/layers/squash';
import { digestOf } from '../../lib/oci/digest';
import { removeTrees } from '../../lib/run/clean';
import type { RunContext } from '../../lib/run/context';
import { rootlessIds } from '../../lib/run/host';
import { Store } from '../../lib/store/store';

async function main(): Promise<void> {
  const [root = '', ...folders] = process.argv.slice(2);
  const context = { rootless: rootlessIds() } as RunContext;
  const store = new Store({ root, remove: (path) => removeTrees(context, [path]) });
  await store.open();
  const chainId = digestOf('any');
  const target = await squashedFolder(store, chainId, folders);
  const finding = await checkSquash(store, chainId, folders, { repair: false });
  console.log(JSON.stringify({ target, finding: finding?.reason ?? 'none' }));
  await store.close();
}

main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
