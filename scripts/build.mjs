// Makes dist/ (the library, the command, the ESM wrapper), the addon with its supervisor, and the examples.
// Each part is made again only when what it is made of has changed.
import { chmodSync, copyFileSync, existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { filesOf, root, run, tool, whenChanged } from './lib/steps.mjs';

const at = (...parts) => join(root, ...parts);

function vendor() {
  whenChanged('lib/vendor/.stamp', ['scripts/vendor.mjs', 'package-lock.json'], ['lib/vendor/got.js'], () =>
    run(process.execPath, ['scripts/vendor.mjs']),
  );
}

function library() {
  const sources = filesOf(['lib'], { except: ['.stamp'] });
  whenChanged(
    'dist/.stamp',
    [...sources, 'tsconfig.json', 'package.json', 'scripts/build.mjs', 'scripts/bundle.mjs'],
    ['dist/index.mjs'],
    () => {
      rmSync(at('dist'), { recursive: true, force: true });
      run(tool('tsc'), ['-p', 'tsconfig.json', '--emitDeclarationOnly']);
      run(process.execPath, ['scripts/bundle.mjs']);
      run(tool('esbuild'), ['lib/index.mts', '--outfile=dist/index.mjs', '--log-level=warning']);
      mkdirSync(at('dist/vendor'), { recursive: true });
      for (const name of readdirSync(at('lib/vendor'))) {
        if (name !== '.stamp') copyFileSync(at('lib/vendor', name), at('dist/vendor', name));
      }
      chmodSync(at('dist/cli/main.js'), 0o755);
    },
  );
}

function native() {
  const sources = filesOf(['addon'], {
    except: ['build', 'test', 'fuzz', 'third_party'],
    matching: /(\.(cc|h|c|inc|json)|CMakeLists\.txt)$/,
  });
  const outputs = ['addon/build/Release/dinghy.node', 'addon/build/Release/dinghy-supervisor'];
  whenChanged('addon/build/.stamp', [...sources, 'package-lock.json'], outputs, () => {
    console.log('building the addon and the supervisor');
    if (run('scripts/build-isal', [], { quiet: true, mayFail: true }).status !== 0) {
      console.log('ISA-L could not be built here: gzip layers are inflated by zlib, which is slower and else the same');
    }
    const build = () =>
      run(tool('cmake-js'), ['compile', '-d', 'addon', '--CDCMAKE_BUILD_TYPE=Release', '--parallel', '2'], {
        quiet: true,
        mayFail: true,
      });
    let result = build();
    // A build folder that another path or another cmake made cannot be used again.
    if (result.status !== 0 && /CMakeCache.txt directory|does not match the source/.test(result.output)) {
      rmSync(at('addon/build'), { recursive: true, force: true });
      result = build();
    }
    if (result.status !== 0) {
      process.stderr.write(result.output);
      console.error('the native build failed');
      process.exit(1);
    }
  });
}

function examples() {
  const sources = filesOf(['examples'], { except: ['build'], matching: /\.ts$/ });
  const types = filesOf(['dist'], { matching: /\.d\.ts$/ });
  const outputs = sources.map((file) => file.replace(/^examples\/(.*)\.ts$/, 'examples/build/$1.js'));
  whenChanged('examples/build/.stamp', [...sources, ...types, 'tsconfig.examples.json'], outputs, () =>
    run(tool('tsc'), ['-p', 'tsconfig.examples.json']),
  );
}

if (!existsSync(at('node_modules/.package-lock.json'))) {
  console.error('node_modules is missing: run `npm ci` first, or `npm run demo`, which does all of it');
  process.exit(1);
}
vendor();
if (!process.argv.includes('--vendor-only')) {
  library();
  native();
  examples();
}
