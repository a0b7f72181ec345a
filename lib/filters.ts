import type { ImageRecord } from './image';
import { defaultNetwork } from './network/bridge-network';
import { referenceMatcher } from './oci/reference-pattern';
import type { ContainerControl } from './run/container-control';
import { statusOf } from './run/describe';
import { observe } from './run/state';
import type { NetworkState } from './run/network-actions';
import type { VolumeState } from './run/volume-actions';
import { checkBoolean, checkOptions, checkText, invalidOption } from './util/checks';

type Values = readonly string[];

/** A filter's values: names are ANDed, the values of one name ORed, except labels: all of them must be there, as for Docker. */
function settleFilters(value: unknown, names: readonly string[]): Map<string, Values> {
  const given = checkOptions('filters', value, names);
  return new Map(
    Object.entries(given)
      .filter(([, each]) => each !== undefined)
      .map(([name, each]) => [name, checkValues(`filters.${name}`, each)]),
  );
}

function checkValues(option: string, value: unknown): string[] {
  const values: unknown[] = Array.isArray(value) ? value : [value];
  if (!values.every((each) => typeof each === 'string')) {
    throw invalidOption(option, value, 'must be a string or an array of strings');
  }
  return values;
}

function checkEach(
  name: string,
  filters: ReadonlyMap<string, Values>,
  test: (wanted: string) => boolean,
  expected: string,
): void {
  const wrong = filters.get(name)?.find((wanted) => !test(wanted));
  if (wrong !== undefined) {
    throw invalidOption(`filters.${name}`, wrong, expected);
  }
}

const activeStatuses: Values = ['running', 'paused', 'restarting'];

const healths: Values = ['starting', 'healthy', 'unhealthy', 'none'];

/** As Docker: asking for a status or an exit code looks at all containers. @throws ERR_INVALID_OPTION */
export function matchesContainer(value: unknown, all: boolean): (control: ContainerControl) => boolean {
  const filters = settleFilters(value, ['id', 'name', 'label', 'status', 'image', 'health', 'exited']);
  checkEach('health', filters, (wanted) => healths.includes(wanted), `must be one of ${healths.join(', ')}`);
  checkEach('exited', filters, (wanted) => /^\d{1,3}$/.test(wanted), 'must be an exit code');
  const looksAtAll = all || filters.has('status') || filters.has('exited');
  return ({ record, places }) => {
    const fits = (name: string, test: (wanted: string) => boolean): boolean => filters.get(name)?.some(test) ?? true;
    const observed = observe(places);
    const status = statusOf(observed);
    const { health = 'none', exitCode } = observed.state ?? {};
    return (
      (looksAtAll || activeStatuses.includes(status)) &&
      fits('id', (wanted) => record.id.startsWith(wanted)) &&
      fits('name', (wanted) => record.name.includes(wanted)) &&
      hasLabels(record.labels, filters.get('label')) &&
      fits('status', (wanted) => status === wanted) &&
      fits('health', (wanted) => health === wanted) &&
      fits('exited', (wanted) => status === 'exited' && exitCode === Number(wanted)) &&
      fits('image', (wanted) => record.image === wanted || record.imageId.replace(/^sha256:/, '').startsWith(wanted))
    );
  };
}

/**
 * `lookUp` finds the image that `before` or `since` names.
 * @throws ERR_INVALID_OPTION, ERR_INVALID_REFERENCE, and what `lookUp` throws
 */
export async function matchesImage(
  value: unknown,
  lookUp: (nameOrId: string) => Promise<{ created?: Date }>,
): Promise<(image: ImageRecord) => boolean> {
  const { dangling, before, since, ...rest } = checkOptions('filters', value, [
    'reference',
    'label',
    'dangling',
    'before',
    'since',
  ]);
  const filters = settleFilters(rest, ['reference', 'label']);
  const patterns = filters.get('reference')?.map(referenceMatcher);
  const wantDangling = dangling === undefined ? undefined : checkBoolean('filters.dangling', dangling);
  const timeOf = async (name: string, given: unknown): Promise<number | undefined> =>
    given === undefined ? undefined : ((await lookUp(checkText(`filters.${name}`, given))).created?.getTime() ?? 0);
  const [end, start] = [await timeOf('before', before), await timeOf('since', since)];
  return ({ references, config, created }) => {
    const time = created?.getTime() ?? 0;
    return (
      (wantDangling === undefined || (references.length === 0) === wantDangling) &&
      (end === undefined || time < end) &&
      (start === undefined || time > start) &&
      hasLabels(config.labels, filters.get('label')) &&
      (patterns?.some((fits) => references.some(fits)) ?? true)
    );
  };
}

/** @throws ERR_INVALID_OPTION */
export function matchesVolume(value: unknown): (volume: VolumeState) => boolean {
  const { dangling, ...rest } = checkOptions('filters', value, ['name', 'label', 'dangling']);
  const filters = settleFilters(rest, ['name', 'label']);
  const wantDangling = dangling === undefined ? undefined : checkBoolean('filters.dangling', dangling);
  return ({ name, labels, usedBy }) => {
    const fits = (filter: string, test: (wanted: string) => boolean): boolean =>
      filters.get(filter)?.some(test) ?? true;
    return (
      (wantDangling === undefined || (usedBy.length === 0) === wantDangling) &&
      fits('name', (wanted) => name.includes(wanted)) &&
      hasLabels(labels, filters.get('label'))
    );
  };
}

/** @throws ERR_INVALID_OPTION */
export function matchesNetwork(value: unknown): (network: NetworkState) => boolean {
  const { dangling, ...rest } = checkOptions('filters', value, ['name', 'id', 'label', 'dangling']);
  const filters = settleFilters(rest, ['name', 'id', 'label']);
  const wantDangling = dangling === undefined ? undefined : checkBoolean('filters.dangling', dangling);
  return ({ name, id, labels, containers }) => {
    const fits = (filter: string, test: (wanted: string) => boolean): boolean =>
      filters.get(filter)?.some(test) ?? true;
    // As for Docker what is predefined is never in anybody's way.
    const isDangling = containers.length === 0 && name !== defaultNetwork;
    return (
      (wantDangling === undefined || isDangling === wantDangling) &&
      fits('name', (wanted) => name.includes(wanted)) &&
      fits('id', (wanted) => id.startsWith(wanted)) &&
      hasLabels(labels, filters.get('label'))
    );
  };
}

function hasLabels(labels: Readonly<Record<string, string>>, wanted: Values = []): boolean {
  return wanted.every((each) => hasLabel(labels, each));
}

/** `key` or `key=value`. */
function hasLabel(labels: Readonly<Record<string, string>>, wanted: string): boolean {
  const equals = wanted.indexOf('=');
  const key = equals < 0 ? wanted : wanted.slice(0, equals);
  return Object.hasOwn(labels, key) && (equals < 0 || labels[key] === wanted.slice(equals + 1));
}
