/** All capabilities up to Linux 6.x, by number (capabilities(7)). */
export const allCapabilities: readonly string[] = [
  'CHOWN',
  'DAC_OVERRIDE',
  'DAC_READ_SEARCH',
  'FOWNER',
  'FSETID',
  'KILL',
  'SETGID',
  'SETUID',
  'SETPCAP',
  'LINUX_IMMUTABLE',
  'NET_BIND_SERVICE',
  'NET_BROADCAST',
  'NET_ADMIN',
  'NET_RAW',
  'IPC_LOCK',
  'IPC_OWNER',
  'SYS_MODULE',
  'SYS_RAWIO',
  'SYS_CHROOT',
  'SYS_PTRACE',
  'SYS_PACCT',
  'SYS_ADMIN',
  'SYS_BOOT',
  'SYS_NICE',
  'SYS_RESOURCE',
  'SYS_TIME',
  'SYS_TTY_CONFIG',
  'MKNOD',
  'LEASE',
  'AUDIT_WRITE',
  'AUDIT_CONTROL',
  'SETFCAP',
  'MAC_OVERRIDE',
  'MAC_ADMIN',
  'SYSLOG',
  'WAKE_ALARM',
  'BLOCK_SUSPEND',
  'AUDIT_READ',
  'PERFMON',
  'BPF',
  'CHECKPOINT_RESTORE',
].map((name) => `CAP_${name}`);

/** Docker's 14. */
export const defaultCapabilities: readonly string[] = [
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_FSETID',
  'CAP_FOWNER',
  'CAP_MKNOD',
  'CAP_NET_RAW',
  'CAP_SETGID',
  'CAP_SETUID',
  'CAP_SETFCAP',
  'CAP_SETPCAP',
  'CAP_NET_BIND_SERVICE',
  'CAP_SYS_CHROOT',
  'CAP_KILL',
  'CAP_AUDIT_WRITE',
];

/** `CAP_NET_ADMIN` for `net_admin`, `NET_ADMIN` or `CAP_NET_ADMIN`; `ALL` for `all`; undefined for anything else. */
export function capabilityName(text: string): string | undefined {
  const name = text.toUpperCase();
  if (name === 'ALL') {
    return name;
  }
  const full = name.startsWith('CAP_') ? name : `CAP_${name}`;
  return allCapabilities.includes(full) ? full : undefined;
}

/** The set that Docker makes of capAdd and capDrop, in the order of the kernel's numbers; names as capabilityName gives them. */
export function capabilitySet(add: readonly string[], drop: readonly string[], privileged: boolean): string[] {
  if (privileged) {
    return [...allCapabilities];
  }
  const base = add.includes('ALL') ? allCapabilities : drop.includes('ALL') ? [] : defaultCapabilities;
  const kept = new Set(base.filter((name) => !drop.includes(name)));
  // With ALL added a drop wins; otherwise an addition does (moby, TweakCapabilities).
  for (const name of add.includes('ALL') ? [] : add) {
    kept.add(name);
  }
  return allCapabilities.filter((name) => kept.has(name));
}

/** Whether the set is Docker's default one, for which the built-in seccomp filter was compiled. */
export function isDefaultSet(capabilities: readonly string[]): boolean {
  return (
    capabilities.length === defaultCapabilities.length &&
    defaultCapabilities.every((name) => capabilities.includes(name))
  );
}
