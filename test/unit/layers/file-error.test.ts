import { fileError } from '../../../lib/layers/file-error';

describe('what could not be done with files', () => {
  const failure = (step: string, errno: number): ReturnType<typeof fileError> =>
    fileError({ step, errno, message: 'no', path: 'a/b' }, 'cannot commit container web');

  test.each([
    ['copy', 28, 'ERR_NO_SPACE'],
    ['write', 122, 'ERR_NO_SPACE'],
    ['read tree', 5, 'ERR_ARCHIVE'],
    ['join', 3, 'ERR_CONTAINER_NOT_RUNNING'],
    ['suspend', 43, 'ERR_CONTAINER_NOT_FOUND'],
    // No cgroup; a supervisor of an older version.
    ['pause', 95, 'ERR_HOST_UNSUPPORTED'],
    ['request', 38, 'ERR_HOST_UNSUPPORTED'],
    // Processes that did not stand still in time.
    ['freeze', 16, 'ERR_ARCHIVE'],
    ['extract', 30, 'ERR_READ_ONLY'],
    ['find', 2, 'ERR_FILE_NOT_FOUND'],
  ])('%s, errno %d: %s', (step, errno, code) => {
    expect(failure(step, errno)).toMatchObject({ code, step, details: { path: 'a/b' } });
  });

  test('says what it was, where, and what helps', () => {
    expect(failure('pause', 95).message).toBe(
      'cannot commit container web: pause: no (a/b): with pause: false it is read while it runs',
    );
  });
});
