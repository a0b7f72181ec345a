// npm run bench [-- NAME] and npm run soak: bundles bench/NAME.ts (Node 20 runs no TypeScript) and runs it against dist/.
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { ready, root, run, tool } from './lib/steps.mjs';

const name = process.argv[2] ?? 'start';
ready('demo');
// Beside its source, for what it loads at run time is named relative to that.
const output = join(root, 'bench', `${name}.bundle.js`);
run(tool('esbuild'), [
  `bench/${name}.ts`,
  '--bundle',
  '--platform=node',
  '--target=node20',
  '--external:dinghy',
  '--external:*/registry.js',
  '--log-level=warning',
  `--outfile=${output}`,
]);
const { status } = run(process.execPath, ['--expose-gc', output], { mayFail: true });
rmSync(output, { force: true });
process.exitCode = status;
