import { spawnSync } from 'node:child_process';

/** The names in an archive, as GNU tar lists them; it must find nothing wrong with it. */
export function tarNames(archive: Buffer): string[] {
  return tar(archive, ['-t']);
}

/** One line for each member: type, mode, owner, size, time and name. */
export function tarListing(archive: Buffer): string[] {
  // How wide a column is depends on the members before.
  return tar(archive, ['-tv', '--numeric-owner', '--full-time']).map((line) => line.replace(/ +/g, ' '));
}

/** The content of one file in it. */
export function tarContent(archive: Buffer, name: string): string {
  return tar(archive, ['-x', '-O', name]).join('\n');
}

function tar(archive: Buffer, args: readonly string[]): string[] {
  const options = { input: archive, maxBuffer: 1 << 28 } as const;
  const { status, stdout, stderr } = spawnSync('tar', ['--quoting-style=literal', ...args, '-f', '-'], options);
  if (status !== 0 || stderr.length > 0) {
    throw new Error(`tar ${args.join(' ')}: ${status} ${String(stderr)}`);
  }
  return String(stdout).split('\n').slice(0, -1);
}
