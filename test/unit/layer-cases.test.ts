import { readFileSync } from 'node:fs';
import { join } from 'node:path';

// docs/layers.md says for every case which tests show it; what it names must be there.
const repository = join(__dirname, '..', '..');
const page = readFileSync(join(repository, 'docs/layers.md'), 'utf8');
const rows = [...page.matchAll(/^\| (\d+) \| [^|]+ \| (.+) \|$/gm)]
  .map(([, number, tests]) => ({ number: Number(number), tests: tests! }))
  .filter(({ tests }) => tests.startsWith('`'));

/** Titles as they stand in the source: over several lines in C++, with their quotes in TypeScript. */
function titlesIn(path: string): string {
  const text = readFileSync(join(repository, path.includes('/') ? path : `addon/test/${path}`), 'utf8');
  return text.replace(/"\s*\n\s*"/g, '').replace(/\\'/g, "'");
}

test('every case from 1 to 75 is there, once', () => {
  expect(rows.map(({ number }) => number)).toEqual(Array.from({ length: 75 }, (_case, index) => index + 1));
});

test.each(rows)('the tests of case $number exist', ({ tests }) => {
  for (const one of tests.split('<br>')) {
    const [, path, title] = /^`([^`]+)`(?:: (.+))?$/.exec(one)!;
    const source = titlesIn(path!);
    if (title !== undefined) {
      expect(source).toContain(title);
    }
  }
});
