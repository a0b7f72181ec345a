import { constants } from 'node:os';

/** The shape Node gives to the errors of its own system calls; what a DinghyError carries as its `cause`. */
export interface SystemError extends Error {
  /** The name: `EPERM`. */
  code: string;
  /** Negative, as Node has it. */
  errno: number;
  syscall: string;
  path?: string;
}

// os.constants.errno lacks a few numbers that mounts, keys and namespaces do answer with.
const missingNames: Readonly<Record<number, string>> = {
  87: 'EUSERS',
  94: 'ESOCKTNOSUPPORT',
  117: 'EUCLEAN',
  121: 'EREMOTEIO',
  123: 'ENOMEDIUM',
  124: 'EMEDIUMTYPE',
  126: 'ENOKEY',
  127: 'EKEYEXPIRED',
  128: 'EKEYREVOKED',
  129: 'EKEYREJECTED',
  130: 'EOWNERDEAD',
  131: 'ENOTRECOVERABLE',
};

// util.getSystemErrorName knows only libuv's numbers: it calls ESTALE (116) unknown. Of two names for one number (EAGAIN and
// EWOULDBLOCK) the table lists Node's own one first.
const names = new Map<number, string>();
for (const [name, number] of Object.entries(constants.errno)) {
  if (!names.has(number)) {
    names.set(number, name);
  }
}

/** The name of a positive kernel error number: `EPERM` for 1; `E<number>` for one that nobody knows. */
export function errnoName(errno: number): string {
  return names.get(errno) ?? missingNames[errno] ?? `E${errno}`;
}

/** A Node-shaped error from a positive kernel number. */
export function systemError(errno: number, syscall: string, path?: string): SystemError {
  const code = errnoName(errno);
  const where = path ? ` '${path}'` : '';
  return Object.assign(new Error(`${code}: ${syscall}${where}`), {
    code,
    errno: -errno,
    syscall,
    ...(path ? { path } : {}),
  });
}
