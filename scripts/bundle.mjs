// Makes dist/index.js and dist/cli/main.js, each one CommonJS file. Requiring the hundred modules of lib/ one by one takes 60 ms.
import { build } from 'esbuild';
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { root } from './lib/steps.mjs';

const require = createRequire(import.meta.url);

// Node compiles these when they are first required, which takes as long as all of ours. They are loaded at the first use of any of them, and
// then all together: nothing may be left to load when a runtime is closed, for Jest forbids it after a test's end.
const late = ['node:crypto', 'node:fs/promises', 'node:net'];

const lateBuiltins = {
  name: 'late builtins',
  setup(build) {
    build.onResolve({ filter: new RegExp(`^(${late.join('|')})$`) }, ({ path, namespace }) =>
      namespace === 'late-loader' ? { path, external: true } : { path, namespace: 'late' },
    );
    build.onLoad({ filter: /.*/, namespace: 'late' }, ({ path }) => ({ contents: lateModule(path), loader: 'js' }));
    build.onResolve({ filter: /^late-builtins$/ }, () => ({ path: 'late-builtins', namespace: 'late-loader' }));
    build.onLoad({ filter: /.*/, namespace: 'late-loader' }, () => {
      const entries = late.map((name) => `${JSON.stringify(name)}: require(${JSON.stringify(name)})`);
      return { contents: `let all;\nmodule.exports = () => (all ??= { ${entries.join(', ')} });\n`, loader: 'js' };
    });
  },
};

// A module whose every export is a getter: esbuild's own interoperation copies getters, and evaluates them when they are used.
function lateModule(path) {
  const getters = Object.keys(require(path)).map(
    (name) => `get ${name}() { return load()[${JSON.stringify(path)}].${name}; }`,
  );
  return `const load = require('late-builtins');\nmodule.exports = { ${getters.join(', ')} };\n`;
}

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
    packages: 'external',
    external: ['*/vendor/got.js'],
    sourcemap: true,
    sourcesContent: false,
    // V8 reads every byte before it can skip a function.
    minify: true,
    logLevel: 'warning',
    plugins: [lateBuiltins],
  });
  const text = readFileSync(join(root, outfile), 'utf8');
  writeFileSync(
    join(root, outfile),
    text.replaceAll(/require\("[^"]*\/vendor\/got\.js"\)/g, () => `require("./${vendor}")`),
  );
}

await bundle('lib/index.ts', 'dist/index.js');
await bundle('lib/cli/main.ts', 'dist/cli/main.js');
