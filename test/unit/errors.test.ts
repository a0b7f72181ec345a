import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createContext, runInContext } from 'node:vm';

import { DinghyError, errorCodes, isDinghyError } from '../../lib/errors';

const top = join(__dirname, '..', '..');

test('carries what the kernel said and what was collected, and nothing that was not given', () => {
  const cause = Object.assign(new Error('EPERM'), { code: 'EPERM', errno: -1, syscall: 'mount' });
  const error = new DinghyError({
    code: 'ERR_CONTAINER_START',
    message: 'no',
    step: 'mount /proc',
    exitCode: 125,
    cause,
  });
  expect(error).toMatchObject({ name: 'DinghyError', code: 'ERR_CONTAINER_START', step: 'mount /proc', exitCode: 125 });
  expect(error.cause).toBe(cause);
  expect(error instanceof Error).toBe(true);
  expect(Object.keys(error).sort()).toEqual(['code', 'exitCode', 'step']);
  expect(new DinghyError({ code: 'ABORT_ERR', message: 'aborted' }).name).toBe('AbortError');
});

test('is known across copies and realms', () => {
  const foreign: unknown = runInContext(
    `Object.defineProperty(new Error('x'), Symbol.for('dinghy.DinghyError'), { value: true })`,
    createContext({}),
  );
  expect(isDinghyError(foreign)).toBe(true);
  expect(isDinghyError(new DinghyError({ code: 'ERR_TIMEOUT', message: 'x' }))).toBe(true);
  for (const other of [new Error('x'), null, undefined, 'ERR_TIMEOUT', { code: 'ERR_TIMEOUT' }]) {
    expect(isDinghyError(other)).toBe(false);
  }
});

test('every code is explained in docs/errors.md, provoked by a test, and used', () => {
  const documented = [...readFileSync(join(top, 'docs', 'errors.md'), 'utf8').matchAll(/^\| `([A-Z_]+)` \|/gm)].map(
    ([, code]) => code,
  );
  expect(documented).toEqual([...errorCodes].sort());
  const sources = textOf(join(top, 'lib'), join(top, 'lib', 'errors.ts'));
  const tests = textOf(join(top, 'test'), __filename);
  expect(errorCodes.filter((code) => !sources.includes(`'${code}'`))).toEqual([]);
  expect(errorCodes.filter((code) => !tests.includes(code))).toEqual([]);
});

function textOf(folder: string, except: string): string {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => join(folder, name))
    .filter((path) => path.endsWith('.ts') && path !== except && !path.includes('/vendor/'))
    .map((path) => readFileSync(path, 'utf8'))
    .join('\n');
}
