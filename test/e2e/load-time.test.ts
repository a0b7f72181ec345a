import { spawnSync } from 'node:child_process';

import { repository } from '../support/e2e';

const loading = "const t = performance.now(); require('dinghy'); console.log(performance.now() - t)";

// Measured in fresh processes, for Node caches what is loaded; the median, for the machine is shared.
function medianMs(program: string): number {
  const times = Array.from({ length: 9 }, () => {
    const { stdout, stderr } = spawnSync(process.execPath, ['-e', program], { cwd: repository, encoding: 'utf8' });
    if (stderr !== '') throw new Error(stderr);
    return Number(stdout);
  });
  return times.sort((left, right) => left - right)[4]!;
}

test("require('dinghy') takes at most 20 ms", () => {
  expect(medianMs(loading)).toBeLessThanOrEqual(20);
});

// What the first Runtime loads is ten times as much. Milliseconds of a shared machine would tell how busy it is: the ratio is watched.
test("with a Runtime made it takes at most 3 times as long as require('commander')", () => {
  const commander = medianMs("const t = performance.now(); require('commander'); console.log(performance.now() - t)");
  const runtime = medianMs(
    "const t = performance.now(); new (require('dinghy').Runtime)(); console.log(performance.now() - t)",
  );
  expect(runtime / commander).toBeLessThanOrEqual(3);
});

test('an error thrown by the engine is of the exported class', () => {
  const program = `
    const { DinghyError, Runtime } = require('dinghy');
    try { new Runtime({ rot: '/x' }) } catch (error) { console.log(error instanceof DinghyError, error.code) }
  `;
  const { stdout } = spawnSync(process.execPath, ['-e', program], { cwd: repository, encoding: 'utf8' });
  expect(stdout).toBe('true ERR_INVALID_OPTION\n');
});

test('what is not needed yet is not loaded', () => {
  const program = "require('dinghy'); console.log(Object.keys(require.cache).join('\\n'))";
  const { stdout } = spawnSync(process.execPath, ['-e', program], { cwd: repository, encoding: 'utf8' });
  expect(stdout).toContain('dist/index.js');
  expect(stdout).not.toMatch(/dist\/engine|vendor\/got|node_modules\/(tar|commander|debug)\//);
});

test('import and require give the same classes', () => {
  const program = `
    import * as esm from 'dinghy';
    import { createRequire } from 'node:module';
    const cjs = createRequire(process.cwd() + '/x.js')('dinghy');
    const names = (module) => Object.keys(module).filter((name) => !['default', '__esModule', 'module.exports'].includes(name)).sort();
    console.log(JSON.stringify([names(esm).join(), names(cjs).join(), esm.Runtime === cjs.Runtime]));
  `;
  const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
    cwd: repository,
    encoding: 'utf8',
  });
  const [esm, cjs, same] = JSON.parse(stdout) as [string, string, boolean];
  expect(esm).toBe(cjs);
  expect(same).toBe(true);
});
