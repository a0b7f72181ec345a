import type { DinghyError } from '../index';
import { isDinghyError } from '../index';
import { UsageError } from './context';

/** The line a person reads, in Docker's words where Docker has them. */
export function describe(error: unknown): string {
  if (!isDinghyError(error)) return error instanceof Error ? error.message : String(error);
  const name = error.details?.['name'] ?? error.details?.['reference'] ?? error.details?.['id'];
  if (error.code === 'ERR_CONTAINER_NOT_FOUND' && typeof name === 'string') return `No such container: ${name}`;
  return withTail(error);
}

function withTail(error: DinghyError): string {
  const tail = error.logTail?.trimEnd();
  return tail ? `${error.message}\nits log ends with:\n${tail.replace(/^/gm, '  ')}` : error.message;
}

/** 126 and 127 for a command that cannot run, 125 for run, create and exec that failed before it, else 1. */
export function exitStatusOf(error: unknown, command: string): number {
  const starts = ['run', 'create', 'exec', 'start'].includes(command);
  if (isDinghyError(error)) {
    if (error.code === 'ERR_NOT_IMPLEMENTED') return 125;
    if (error.exitCode !== undefined && starts) return error.exitCode;
    return starts && command !== 'start' ? 125 : 1;
  }
  if (error instanceof UsageError) return starts && command !== 'start' ? 125 : 1;
  return starts ? 125 : 1;
}
