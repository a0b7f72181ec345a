import { type BlobProgress, ProgressReporter } from '../../../lib/util/progress';

const blob = { digest: `sha256:${'a'.repeat(64)}`, size: 1000 };
const other = { digest: `sha256:${'b'.repeat(64)}`, size: 500 };

it('tells every change of phase at once, and the rest at most ten times a second', () => {
  const seen: BlobProgress[] = [];
  const reporter = new ProgressReporter(
    (progress) => seen.push(progress),
    (error) => {
      throw error;
    },
  );
  reporter.whole('resolving');
  reporter.expect([blob, other]);
  for (let done = 0; done < 1000; done++) {
    reporter.blob('downloading', blob, done);
  }
  reporter.blob('exists', other, 500);
  reporter.blob('extracting', blob, 1000);
  expect(seen.length).toBeLessThan(10);
  expect(seen[0]).toEqual({ phase: 'resolving', current: 0, overall: { current: 0 } });
  expect(seen.at(-1)).toEqual({
    phase: 'extracting',
    digest: blob.digest,
    current: 1000,
    total: 1000,
    overall: { current: 1500, total: 1500 },
  });
});

it('hands on what the listener throws', () => {
  const errors: unknown[] = [];
  const reporter = new ProgressReporter(
    () => {
      throw new Error('mine');
    },
    (error) => errors.push(error),
  );
  reporter.whole('resolving');
  expect(errors).toEqual([new Error('mine')]);
});
