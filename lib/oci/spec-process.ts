import { DinghyError } from '../errors';
import { capabilitySet } from './capabilities';
import type { ImageConfig } from './image-config';
import type { ContainerSettings } from './settings';
import type { SpecProcess } from './spec-types';

const defaultPath = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** The container's first process. Its user is resolved by the binary, against the image's own passwd. */
export function makeProcess(image: ImageConfig, settings: ContainerSettings, hostname: string): SpecProcess {
  const capabilities = capabilitySet(settings.capAdd, settings.capDrop, settings.privileged);
  const terminal = settings.terminal;
  return {
    terminal: terminal !== undefined,
    ...(terminal ? { consoleSize: { width: terminal.columns, height: terminal.rows } } : {}),
    user: { uid: 0, gid: 0 },
    args: makeArguments(image, settings),
    env: makeEnvironment(image.env, settings.env, hostname, terminal !== undefined),
    cwd: settings.workdir ?? image.workdir,
    // Inheritable and ambient stay empty: with them a program that gives up root would keep rights (CVE-2022-24769).
    capabilities: {
      bounding: capabilities,
      effective: capabilities,
      permitted: capabilities,
      inheritable: [],
      ambient: [],
    },
    rlimits: settings.ulimits,
    ...(settings.oomScoreAdj === undefined ? {} : { oomScoreAdj: settings.oomScoreAdj }),
    noNewPrivileges: settings.noNewPrivileges,
  };
}

/** As in Docker: the image's command belongs to the image's entrypoint and goes when that is replaced. */
function makeArguments(image: ImageConfig, settings: ContainerSettings): string[] {
  const entrypoint = settings.entrypoint ?? image.entrypoint;
  const command = settings.command ?? (settings.entrypoint ? [] : image.command);
  const args = [...entrypoint, ...command];
  if (args.length === 0) {
    throw new DinghyError({
      code: 'ERR_INVALID_OPTION',
      message: 'option command: the image names no command to run, so one must be given',
      details: { option: 'command' },
    });
  }
  return args;
}

/** What was given goes over what the image says, which goes over the defaults; each name once, where it first stood. */
export function makeEnvironment(
  image: readonly string[],
  given: Readonly<Record<string, string>>,
  hostname: string,
  terminal: boolean,
): string[] {
  const variables = new Map<string, string>();
  const defaults = [defaultPath, `HOSTNAME=${hostname}`, ...(terminal ? ['TERM=xterm'] : [])];
  for (const entry of [...defaults, ...image]) {
    const equals = entry.indexOf('=');
    if (equals > 0) {
      variables.set(entry.slice(0, equals), entry);
    }
  }
  for (const [name, value] of Object.entries(given)) {
    variables.set(name, `${name}=${value}`);
  }
  return [...variables.values()];
}
