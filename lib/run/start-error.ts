import { DinghyError, type ErrorCode } from '../errors';
import { systemError } from '../native/errno';
import { type ProtocolError, protocolVersion, type Reply } from '../native/protocol';

/** The typed error for what the supervisor, or a process it started, could not do. */
export function startError(doing: string, error: ProtocolError): DinghyError {
  const cause = error.errno > 0 ? systemError(error.errno, error.step, error.path) : undefined;
  const code = errorCode(error, cause?.code);
  return new DinghyError({
    code,
    message: `${doing}: ${describe(error)}${cure(code, error)}`,
    step: error.step,
    ...(exitCodes[code] === undefined ? {} : { exitCode: error.exitCode ?? exitCodes[code] }),
    cause,
  });
}

const versionCure =
  ' (restart it, which makes it a container of this version, or use that version; ' +
  'inspect, logs, wait, kill, stop, restart and remove work as it is)';

/** As startError, for what is not even asked of a supervisor of another protocol version. */
export function versionError(doing: string, version: number): DinghyError {
  const message = `the container is run by a dinghy of protocol version ${version}, and this one speaks ${protocolVersion}`;
  return startError(doing, { step: 'version', errno: 0, message });
}

/** The fields of a good reply. @throws what `startError` makes of a bad one */
export function checkReply(doing: string, reply: Reply): Record<string, unknown> {
  if (!reply.ok) {
    throw startError(doing, reply.error);
  }
  return reply;
}

const exitCodes: Partial<Record<ErrorCode, number>> = {
  ERR_COMMAND_NOT_FOUND: 127,
  ERR_COMMAND_NOT_EXECUTABLE: 126,
  ERR_CONTAINER_START: 125,
  ERR_PORT_IN_USE: 125,
  ERR_HOST_UNSUPPORTED: 125,
};

function errorCode(error: ProtocolError, cause: string | undefined): ErrorCode {
  if (error.exitCode === 127) {
    return 'ERR_COMMAND_NOT_FOUND';
  }
  if (error.exitCode === 126) {
    return 'ERR_COMMAND_NOT_EXECUTABLE';
  }
  if (error.step === 'bind port' && cause === 'EADDRINUSE') {
    return 'ERR_PORT_IN_USE';
  }
  return stateCode(error, cause) ?? startCode(error, cause);
}

/** What a container in another state could do. */
function stateCode({ step }: ProtocolError, cause: string | undefined): ErrorCode | undefined {
  if (step === 'version') {
    return 'ERR_SUPERVISOR_VERSION';
  }
  if (cause === 'EIDRM') {
    return 'ERR_CONTAINER_NOT_FOUND'; // it is being removed
  }
  if (cause === 'EBUSY' && (step === 'start' || step === 'pause' || step === 'join')) {
    return 'ERR_CONTAINER_PAUSED';
  }
  if (step === 'unpause' && cause === 'EINVAL') {
    return 'ERR_CONTAINER_NOT_PAUSED';
  }
  // Nobody listens for whoever wants to join it.
  return cause === 'ESRCH' || step === 'join' || step === 'connect' ? 'ERR_CONTAINER_NOT_RUNNING' : undefined;
}

function startCode(error: ProtocolError, cause: string | undefined): ErrorCode {
  return isHostFault(error, cause) ? 'ERR_HOST_UNSUPPORTED' : 'ERR_CONTAINER_START';
}

// A kernel or a sandbox around this process that refuses namespaces, mounts or cgroups refuses every container alike.
function isHostFault(error: ProtocolError, cause: string | undefined): boolean {
  const kernelStep =
    /^(clone|unshare|userns|user namespace|mount \/(proc|dev|sys)|cgroup|nftables|netlink|bridge)/.test(error.step);
  // A controller that is nowhere is told without a number; ENOTSUP and EOPNOTSUPP are two names of one.
  const refusals = ['EPERM', 'EACCES', 'ENOSYS', 'EOPNOTSUPP', 'ENOTSUP'];
  return kernelStep && (cause === undefined ? error.step.startsWith('cgroup') : refusals.includes(cause));
}

function describe({ step, message }: ProtocolError): string {
  return message.startsWith(step) ? message : `${step}: ${message}`;
}

function cure(code: ErrorCode, error: ProtocolError): string {
  switch (code) {
    case 'ERR_PORT_IN_USE':
      return ' (choose another host port, or none for a free one)';
    case 'ERR_COMMAND_NOT_FOUND':
      return ' (the name is looked up in the PATH of the container)';
    case 'ERR_HOST_UNSUPPORTED':
      return eaccesHint(error);
    case 'ERR_SUPERVISOR_VERSION':
      return versionCure;
    case 'ERR_CONTAINER_PAUSED':
      return ' (unpause it first)';
    default:
      return '';
  }
}

function eaccesHint({ errno }: ProtocolError): string {
  return errno === 1 || errno === 13
    ? ' (this process lacks the right: run as root, or allow unprivileged user namespaces; runtime.info() has the details)'
    : ' (runtime.info() says what this host lacks)';
}
