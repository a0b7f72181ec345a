// npm run check: format, lint, types, layering and unit tests. Every step runs even when one before it failed.
import { filesOf, root, run, tool } from './lib/steps.mjs';

const exceptVendored = { except: ['vendor', 'build', 'node_modules'] };
const native = filesOf(['addon'], { except: ['build'], matching: /\.(cc|h)$/ });

// Warnings of clang-format 14 differ from those of another version; CI has Debian's.
const steps = [
  ['format (prettier)', tool('prettier'), ['--check', '--log-level', 'warn', '.']],
  ...(native.length > 0 ? [['format (clang-format)', 'clang-format', ['--dry-run', '-Werror', ...native]]] : []),
  ['lint (eslint)', tool('eslint'), ['--max-warnings', '0', '.']],
  ['types: library', tool('tsc'), ['-p', 'tsconfig.json', '--noEmit']],
  ['types: tests, examples, benchmarks', tool('tsc'), ['-p', 'tsconfig.check.json']],
  ['types: user programs', tool('tsc'), ['-p', 'test/types/tsconfig.json']],
];

/** Runs the static steps; gives how many passed and failed. */
export function runChecks() {
  const count = { passed: 0, failed: 0, skipped: 0 };
  for (const [name, command, args] of steps) {
    const started = process.hrtime.bigint();
    const { status, output } = run(command, args, { quiet: true, mayFail: true });
    const seconds = (Number(process.hrtime.bigint() - started) / 1e9).toFixed(1);
    console.log(`${status === 0 ? 'ok' : 'FAILED'}  ${name} (${seconds} s)`);
    if (status === 0) count.passed++;
    else count.failed++;
    if (status !== 0) process.stdout.write(output);
  }
  return count;
}

if (process.argv[1] === `${root}/scripts/check.mjs`) {
  run(process.execPath, ['scripts/build.mjs', '--vendor-only'], { mayFail: true });
  const count = runChecks();
  const unit = run(tool('jest'), ['--selectProjects', 'unit'], { mayFail: true });
  if (count.failed > 0 || unit.status !== 0) process.exit(1);
  void exceptVendored;
}
