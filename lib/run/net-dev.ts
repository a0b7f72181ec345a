export interface InterfaceStats {
  receivedBytes: number;
  receivedPackets: number;
  receiveErrors: number;
  receiveDropped: number;
  sentBytes: number;
  sentPackets: number;
  sendErrors: number;
  sendDropped: number;
}

/** proc_pid_net(5), /proc/<pid>/net/dev: the interfaces of a network namespace but its loopback. */
export function parseNetDev(text: string): Record<string, InterfaceStats> {
  const interfaces: Record<string, InterfaceStats> = {};
  for (const line of text.split('\n')) {
    const [, name, rest] = /^\s*(\S+):\s*(.*)$/.exec(line) ?? [];
    if (name === undefined || rest === undefined || name === 'lo') {
      continue;
    }
    const fields = rest.split(/\s+/).map(Number);
    const field = (index: number): number => fields[index] ?? 0;
    interfaces[name] = {
      receivedBytes: field(0),
      receivedPackets: field(1),
      receiveErrors: field(2),
      receiveDropped: field(3),
      sentBytes: field(8),
      sentPackets: field(9),
      sendErrors: field(10),
      sendDropped: field(11),
    };
  }
  return interfaces;
}
