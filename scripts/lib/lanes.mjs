// The lanes of `npm test`: each runs one kind of check, prints its counts, and gives them.
import { cpus } from 'node:os';
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { filesOf, root, run, tool, whenChanged } from './steps.mjs';

const jobs = String(Math.max(2, cpus().length));

export const total = (counts) =>
  counts.reduce(
    (sum, one) => ({
      passed: sum.passed + one.passed,
      failed: sum.failed + one.failed,
      skipped: sum.skipped + one.skipped,
    }),
    { passed: 0, failed: 0, skipped: 0 },
  );

/** The one line that says how it went; CI reads the last of them. */
export const countsLine = ({ passed, failed, skipped }) => `${passed} passed, ${failed} failed, ${skipped} skipped`;

/** Of the things this script can do those named on its command line, or all. An unknown name ends it. */
export function chosen(kind, all) {
  const wanted = process.argv.slice(2);
  const unknown = wanted.filter((name) => !Object.hasOwn(all, name));
  if (unknown.length > 0) {
    console.error(`no such ${kind}: ${unknown.join(' ')}; there are: ${Object.keys(all).join(' ')}`);
    process.exit(2);
  }
  return wanted.length > 0 ? wanted : Object.keys(all);
}

function report(name, count) {
  console.log(`${name}: ${countsLine(count)}`);
  return count;
}

/** Runs commands that each pass or fail as a whole; the output of those that failed is shown. */
export function stepsLane(lane, steps) {
  const count = { passed: 0, failed: 0, skipped: 0 };
  for (const { name, command, args, env } of steps) {
    const started = Date.now();
    const { status, output } = run(command, args, { quiet: true, mayFail: true, env });
    const failed = status !== 0;
    if (failed) process.stdout.write(output);
    console.log(`${failed ? 'FAILED' : 'ok'}  ${name} (${((Date.now() - started) / 1000).toFixed(1)} s)`);
    count[failed ? 'failed' : 'passed']++;
  }
  return report(lane, count);
}

/** Format, lint and types, as steps. */
export function checkSteps() {
  const native = filesOf(['addon'], { except: ['build'], matching: /^addon\/(?!build|third_party).*\.(cc|h)$/ });
  return [
    { name: 'format: prettier', command: tool('prettier'), args: ['--check', '--log-level', 'warn', '.'] },
    { name: 'format: clang-format', command: 'clang-format', args: ['--dry-run', '-Werror', ...native] },
    { name: 'lint: eslint', command: tool('eslint'), args: ['--max-warnings', '0', '.'] },
    { name: 'types: library', command: tool('tsc'), args: ['-p', 'tsconfig.json', '--noEmit'] },
    { name: 'types: tests, examples, benchmarks', command: tool('tsc'), args: ['-p', 'tsconfig.check.json'] },
    { name: 'types: programs of users', command: tool('tsc'), args: ['-p', 'test/types/tsconfig.json'] },
  ];
}

/**
 * binding.gyp makes the addon and the supervisor from the same sources as CMake does. Node's headers are those beside its
 * program: nothing is downloaded.
 */
export function gypLane() {
  const headers = dirname(dirname(realpathSync(process.execPath)));
  const build = { name: 'node-gyp: addon and supervisor', command: tool('node-gyp'), env: { JOBS: jobs } };
  const count = stepsLane('node-gyp', [{ ...build, args: ['rebuild', '--loglevel', 'error', '--nodedir', headers] }]);
  rmSync(join(root, 'build'), { recursive: true, force: true });
  return count;
}

/** One project of jest.config.js. A suite that could not run counts as one failure. */
export function jestLane(name) {
  const folder = mkdtempSync(join(tmpdir(), 'jest-report-'));
  const file = join(folder, 'report.json');
  const args = ['--selectProjects', name, '--passWithNoTests', '--json', '--outputFile', file];
  // What uses the kernel runs one file after another: the leak check looks at the whole machine.
  if (name !== 'unit') args.push('-i');
  const { status } = run(process.execPath, [join(root, 'node_modules/jest/bin/jest.js'), ...args], {
    mayFail: true,
    hideOutput: true,
  });
  const count = { passed: 0, failed: 0, skipped: 0 };
  try {
    const report = JSON.parse(readFileSync(file, 'utf8'));
    count.passed = report.numPassedTests;
    count.failed = report.numFailedTests + report.numRuntimeErrorTestSuites;
    count.skipped = report.numPendingTests + report.numTodoTests;
  } catch {
    console.log(`${name}: jest left no report`);
  }
  // Failures that are no test's: a leak found at the very end, a crash.
  if (status !== 0 && count.failed === 0) count.failed = 1;
  rmSync(folder, { recursive: true });
  return report(name, count);
}

const nativeFiles = (matching) =>
  filesOf(['addon'], { matching }).filter((file) => !/^addon\/(build|third_party)/.test(file));

function cmake(folder, options) {
  mkdirSync(join(root, folder), { recursive: true });
  const quiet = { quiet: true, mayFail: true };
  const configured = run('cmake', ['-S', 'addon', '-B', folder, ...options], quiet);
  const built = configured.status === 0 ? run('make', ['-C', folder, '-j', jobs], quiet) : configured;
  if (built.status !== 0) process.stdout.write(built.output.split('\n').slice(-60).join('\n'));
  return built.status === 0;
}

const sanitized = ['-DCMAKE_BUILD_TYPE=Debug', '-DDINGHY_TESTS=ON', '-DDINGHY_SANITIZE=ON'];

/** The C++ core's own tests under AddressSanitizer and UndefinedBehaviorSanitizer. */
export function nativeTestsLane() {
  if (!cmake('addon/build-sanitize', sanitized)) {
    return report('native tests (C++)', { passed: 0, failed: 1, skipped: 0 });
  }
  const { status, output } = run(join(root, 'addon/build-sanitize/native-tests'), [], {
    quiet: true,
    mayFail: true,
    env: { UBSAN_OPTIONS: 'print_stacktrace=1:halt_on_error=1' },
  });
  const [, passed, failed, skipped] =
    /test cases:\s*\d+\s*\|\s*(\d+) passed\s*\|\s*(\d+) failed\s*\|\s*(\d+) skipped/.exec(output) ?? [];
  const count = { passed: Number(passed ?? 0), failed: Number(failed ?? 0), skipped: Number(skipped ?? 0) };
  if (status !== 0) process.stdout.write(output.split('\n').slice(-80).join('\n'));
  // A sanitizer ends the program before it prints its counts.
  if (status !== 0 && count.failed === 0) count.failed = 1;
  return report('native tests (C++)', count);
}

/** Every fuzz target for a few seconds, from an empty corpus: a smoke test that it builds, runs and finds nothing at once. */
export function fuzzLane(secondsEach) {
  const targets = nativeFiles(/^addon\/fuzz\/.*\.cc$/).map((file) => basename(file, '.cc'));
  const compilers = ['-DCMAKE_C_COMPILER=clang', '-DCMAKE_CXX_COMPILER=clang++'];
  const options = [...compilers, '-DCMAKE_BUILD_TYPE=Debug', '-DDINGHY_FUZZ=ON', '-DDINGHY_SANITIZE=ON'];
  if (targets.length > 0 && !cmake('addon/build-fuzz', options)) {
    return report('fuzz', { passed: 0, failed: targets.length, skipped: 0 });
  }
  const corpus = mkdtempSync(join(tmpdir(), 'fuzz-'));
  const steps = targets.map((target) => {
    mkdirSync(join(corpus, target));
    const limits = [`-max_total_time=${secondsEach}`, '-rss_limit_mb=2048', `-artifact_prefix=${corpus}/`];
    return {
      name: `fuzz: ${target}`,
      command: join(root, `addon/build-fuzz/fuzz-${target}`),
      args: [...limits, join(corpus, target)],
    };
  });
  const count = stepsLane('fuzz', steps);
  if (count.failed > 0) console.log(`what made them fail is in ${corpus}`);
  else rmSync(corpus, { recursive: true });
  return count;
}

/** clang-tidy over every source; one that passed is looked at again only when it, a header or the rules have changed. */
export function tidyLane() {
  const name = 'clang-tidy';
  const sources = nativeFiles(/\.cc$/).filter((file) => !/^addon\/(test|fuzz|binding)\//.test(file));
  const common = [...nativeFiles(/\.h$/), '.clang-tidy', 'addon/CMakeLists.txt'];
  const pending = [];
  for (const file of sources) {
    whenChanged(stampOf(file), [file, ...common], [], () => pending.push(file), { keepOldStamp: true });
  }
  if (pending.length > 0 && !cmake('addon/build-sanitize', sanitized)) {
    return report(name, { passed: 0, failed: sources.length, skipped: 0 });
  }
  const script =
    'printf "%s\\n" "$@" | xargs -P "$JOBS" -I {} sh -c \'clang-tidy -quiet -p addon/build-sanitize "{}" 2>/dev/null && echo "TIDY {}"\'';
  const { output } = run('sh', ['-c', script, 'sh', ...pending], { quiet: true, mayFail: true, env: { JOBS: jobs } });
  const tidy = new Set([...output.matchAll(/^TIDY (.*)$/gm)].map((match) => match[1]));
  const failed = pending.filter((file) => !tidy.has(file));
  if (failed.length > 0) console.log(`${output.replace(/^TIDY .*\n/gm, '')}not tidy: ${failed.join(' ')}`);
  for (const file of tidy) whenChanged(stampOf(file), [file, ...common], [], () => undefined);
  return report(name, { passed: sources.length - failed.length, failed: failed.length, skipped: 0 });
}

const stampOf = (file) => `addon/build-sanitize/.tidy/${file.replaceAll('/', '-')}`;
