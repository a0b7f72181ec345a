import { DinghyError, type ErrorCode } from '../errors';
import { errnoName, systemError } from '../native/errno';
import type { ProtocolError } from '../native/protocol';

const cures: Partial<Record<ErrorCode, string>> = {
  ERR_NO_SPACE: ': free some space',
  ERR_HOST_UNSUPPORTED: ': with pause: false it is read while it runs',
  ERR_READ_ONLY: ': it is mounted read-only there',
};

/** The typed error for what reading or writing files in a tree could not do. `doing`: `cannot export container web`. */
export function fileError({ step, errno, message, path }: ProtocolError, doing: string): DinghyError {
  const code = codeOf(step, errno);
  return new DinghyError({
    code,
    message: `${doing}: ${step}: ${message}${path ? ` (${path})` : ''}${cures[code] ?? ''}`,
    step,
    ...(path ? { details: { path } } : {}),
    ...(errno > 0 ? { cause: systemError(errno, step, path) } : {}),
  });
}

function codeOf(step: string, errno: number): ErrorCode {
  const name = errno > 0 ? errnoName(errno) : undefined;
  if (name === 'EIDRM') {
    return 'ERR_CONTAINER_NOT_FOUND'; // it is being removed
  }
  // It ended this very moment: whoever asks again finds it so.
  if (step === 'join' || step === 'connect' || (step === 'setns' && name === 'ESRCH')) {
    return 'ERR_CONTAINER_NOT_RUNNING';
  }
  // No cgroup, or a supervisor that an older version started.
  if ((step === 'pause' && name !== 'EBUSY') || (step === 'request' && name === 'ENOSYS')) {
    return 'ERR_HOST_UNSUPPORTED';
  }
  if (step === 'find' && name === 'ENOENT') {
    return 'ERR_FILE_NOT_FOUND';
  }
  if ((step === 'find' || step === 'extract') && (name === 'ENOTDIR' || name === 'EISDIR')) {
    return 'ERR_FILE_TYPE';
  }
  if (name === 'EROFS') {
    return 'ERR_READ_ONLY';
  }
  return name === 'ENOSPC' || name === 'EDQUOT' ? 'ERR_NO_SPACE' : 'ERR_ARCHIVE';
}
