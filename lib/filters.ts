import type { ImageRecord } from './image';
import type { ContainerControl } from './run/container-control';
import { statusOf } from './run/describe';
import { observe } from './run/state';
import { checkOptions, invalidOption } from './util/checks';

type Values = readonly string[];

/** A filter's values: names are ANDed, the values of one name ORed. */
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

const activeStatuses: Values = ['running', 'paused', 'restarting'];

/** As Docker: asking for a status looks at all containers. @throws ERR_INVALID_OPTION */
export function matchesContainer(value: unknown, all: boolean): (control: ContainerControl) => boolean {
  const filters = settleFilters(value, ['id', 'name', 'label', 'status', 'image']);
  return ({ record, places }) => {
    const fits = (name: string, test: (wanted: string) => boolean): boolean => filters.get(name)?.some(test) ?? true;
    const status = statusOf(observe(places));
    return (
      (all || filters.has('status') || activeStatuses.includes(status)) &&
      fits('id', (wanted) => record.id.startsWith(wanted)) &&
      fits('name', (wanted) => record.name.includes(wanted)) &&
      fits('label', (wanted) => hasLabel(record.labels, wanted)) &&
      fits('status', (wanted) => status === wanted) &&
      fits('image', (wanted) => record.image === wanted || record.imageId.replace(/^sha256:/, '').startsWith(wanted))
    );
  };
}

/** @throws ERR_INVALID_OPTION */
export function matchesImage(value: unknown): (image: ImageRecord) => boolean {
  const filters = settleFilters(value, ['reference', 'label']);
  return ({ references, config }) => {
    const fits = (name: string, test: (wanted: string) => boolean): boolean => filters.get(name)?.some(test) ?? true;
    return (
      fits('label', (wanted) => hasLabel(config.labels, wanted)) &&
      fits('reference', (wanted) => references.some((reference) => isReference(reference, wanted)))
    );
  };
}

/** `key` or `key=value`. */
function hasLabel(labels: Readonly<Record<string, string>>, wanted: string): boolean {
  const equals = wanted.indexOf('=');
  const key = equals < 0 ? wanted : wanted.slice(0, equals);
  return Object.hasOwn(labels, key) && (equals < 0 || labels[key] === wanted.slice(equals + 1));
}

/** The whole reference, or its repository; `*` stands for any part of one path segment. */
function isReference(reference: string, wanted: string): boolean {
  const pattern = wanted.replace(/[.+?^${}()|[\]\\]/g, '\\$&').replace(/\*/g, '[^/]*');
  return new RegExp(`^${pattern}(:[^/:]+)?$`).test(reference);
}
