import { startError } from '../../../lib/run/start-error';

test.each([
  [{ step: 'execve', errno: 2, message: 'no such file', exitCode: 127 }, 'ERR_COMMAND_NOT_FOUND', 127, 'ENOENT'],
  [
    { step: 'execve', errno: 13, message: 'not executable', exitCode: 126 },
    'ERR_COMMAND_NOT_EXECUTABLE',
    126,
    'EACCES',
  ],
  [{ step: 'bind port', errno: 98, message: '127.0.0.1:80 is taken' }, 'ERR_PORT_IN_USE', 125, 'EADDRINUSE'],
  [{ step: 'bind port', errno: 13, message: '127.0.0.1:80 is privileged' }, 'ERR_CONTAINER_START', 125, 'EACCES'],
  [{ step: 'unshare', errno: 1, message: 'not permitted' }, 'ERR_HOST_UNSUPPORTED', 125, 'EPERM'],
  [{ step: 'cgroup memory', errno: 0, message: 'no hierarchy has memory' }, 'ERR_HOST_UNSUPPORTED', 125, undefined],
  [{ step: 'cgroup controller memory', errno: 95, message: 'not ours' }, 'ERR_HOST_UNSUPPORTED', 125, 'ENOTSUP'],
  [{ step: 'signal', errno: 3, message: 'gone' }, 'ERR_CONTAINER_NOT_RUNNING', undefined, 'ESRCH'],
  [{ step: 'version', errno: 93, message: 'another' }, 'ERR_SUPERVISOR_VERSION', undefined, 'EPROTONOSUPPORT'],
  [{ step: 'connect', errno: 111, message: 'refused' }, 'ERR_CONTAINER_NOT_RUNNING', undefined, 'ECONNREFUSED'],
  [{ step: 'exec', errno: 43, message: 'is being removed' }, 'ERR_CONTAINER_NOT_FOUND', undefined, 'EIDRM'],
  [{ step: 'pause', errno: 16, message: 'paused already' }, 'ERR_CONTAINER_PAUSED', undefined, 'EBUSY'],
  [{ step: 'join', errno: 16, message: 'paused' }, 'ERR_CONTAINER_PAUSED', undefined, 'EBUSY'],
  [{ step: 'mount /mnt', errno: 16, message: 'busy' }, 'ERR_CONTAINER_START', 125, 'EBUSY'],
  [{ step: 'unpause', errno: 22, message: 'not paused' }, 'ERR_CONTAINER_NOT_PAUSED', undefined, 'EINVAL'],
  [{ step: 'mount /data', errno: 2, message: 'no source' }, 'ERR_CONTAINER_START', 125, 'ENOENT'],
])('%j is %s', (error, code, exitCode, cause) => {
  const made = startError('cannot start container web', error);
  expect(made).toMatchObject({ code, step: error.step });
  expect(made.exitCode).toBe(exitCode);
  expect((made.cause as { code?: string } | undefined)?.code).toBe(cause);
  expect(made.message).toMatch(/^cannot start container web: /);
  expect(made.message).toContain(error.message);
});
