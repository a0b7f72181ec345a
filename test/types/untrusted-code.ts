// Runs a stranger's program: no network, little memory, little time, and nothing to write to.
import { isDinghyError, Runtime, type ExecResult } from 'dinghy';

export async function judge(source: string, abort: AbortSignal): Promise<string> {
  const runtime = new Runtime({ labels: { app: 'judge' } });
  try {
    const result: ExecResult = await runtime.exec('node:22-alpine', ['node', '/work/main.js'], {
      files: [{ path: '/work/main.js', content: source, mode: 0o444 }],
      network: 'none',
      user: '65534:65534',
      memory: '64m',
      cpus: 0.5,
      pids: 32,
      readOnly: true,
      tmpfs: ['/tmp'],
      capDrop: ['ALL'],
      noNewPrivileges: true,
      ulimits: { nofile: 64, fsize: { soft: 1_000_000, hard: 1_000_000 } },
      timeoutMs: 2000,
      maxOutputBytes: 64 * 1024,
      input: '1 2 3\n',
      signal: abort,
    });
    if (result.oomKilled) {
      return 'memory limit exceeded';
    }
    return result.exitCode === 0
      ? result.stdout
      : `exit ${result.exitCode}${result.truncated ? ' (too much output)' : ''}`;
  } catch (error) {
    if (!isDinghyError(error)) {
      throw error;
    }
    switch (error.code) {
      case 'ERR_TIMEOUT':
        return `time limit exceeded after writing ${String(error.stdout)}`;
      case 'ABORT_ERR':
        return `cancelled: ${String(error.cause)}`;
      case 'ERR_HOST_UNSUPPORTED':
        return `this machine cannot run containers: ${error.message}`;
      default:
        throw error;
    }
  } finally {
    await runtime.close();
  }
}
