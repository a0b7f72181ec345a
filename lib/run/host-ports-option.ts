import { checkArray, checkInteger, invalidOption } from '../util/checks';

/** So many are set aside inside a container (addon/net/host_ports.h). */
const maxHostPorts = 64;

/** The option `hostPorts`. @throws ERR_INVALID_OPTION */
export function settleHostPorts(option: string, value: unknown): number[] {
  const ports = checkArray(option, value, (name, port) => checkInteger(name, port, 1, 65535));
  if (ports.length > maxHostPorts) {
    throw invalidOption(option, value, `must be at most ${maxHostPorts} ports`);
  }
  return [...new Set(ports)];
}
