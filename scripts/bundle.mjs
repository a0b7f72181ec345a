// Makes dist/: of lib/'s hundred modules a few CommonJS files, for requiring each module by itself takes twice as long.
//   index.js   the public classes, which every program loads
//   engine.js  what they stand on, loaded with the first Runtime
//   errors.js  shared by both: one class of errors
//   cli/main.js  the command, all of it
import { build } from 'esbuild';
import { join, relative } from 'node:path';
import { root } from './lib/steps.mjs';

/** Imports of these modules of lib/ stay what they are: requires of a file of dist/. */
function keepApart(modules, up) {
  return {
    name: 'keep apart',
    setup({ onResolve }) {
      onResolve({ filter: /^\.{1,2}\// }, ({ resolveDir, path }) => {
        const module = relative(join(root, 'lib'), join(resolveDir, path)).replace(/\.js$/, '');
        return modules.includes(module) ? { path: `${up}${module}.js`, external: true } : undefined;
      });
    },
  };
}

async function bundle(entry, outfile, { apart = [], up = './' } = {}) {
  await build({
    absWorkingDir: root,
    entryPoints: [join('lib', entry)],
    outfile: join('dist', outfile),
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target: 'node20',
    // Dependencies are not taken in. What is required inside a function stays lazy.
    packages: 'external',
    plugins: [keepApart([...apart, 'vendor/got'], up)],
    sourcemap: true,
    sourcesContent: false,
    // V8 reads every byte before it can skip a function.
    minify: true,
    logLevel: 'warning',
  });
}

await bundle('errors.ts', 'errors.js');
await bundle('engine.ts', 'engine.js', { apart: ['errors'] });
await bundle('index.ts', 'index.js', { apart: ['errors', 'engine'] });
await bundle('cli/main.ts', 'cli/main.js', { up: '../' });
