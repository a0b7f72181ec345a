// Makes dist/index.js and dist/cli/main.js, each one CommonJS file: requiring the hundred modules of lib/ one by one takes twice as long.
import { build } from 'esbuild';
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { root } from './lib/steps.mjs';

async function bundle(entry, outfile) {
  const vendor = relative(dirname(outfile), 'dist/vendor/got.js');
  await build({
    absWorkingDir: root,
    entryPoints: [entry],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target: 'node20',
    // Dependencies, and the registry client's bundle, are not taken in. What is required inside a function stays lazy.
    packages: 'external',
    external: ['*/vendor/got.js'],
    sourcemap: true,
    sourcesContent: false,
    // V8 reads every byte before it can skip a function.
    minify: true,
    logLevel: 'warning',
  });
  const text = readFileSync(join(root, outfile), 'utf8');
  writeFileSync(
    join(root, outfile),
    text.replaceAll(/require\("[^"]*\/vendor\/got\.js"\)/g, () => `require("./${vendor}")`),
  );
}

await bundle('lib/index.ts', 'dist/index.js');
await bundle('lib/cli/main.ts', 'dist/cli/main.js');
