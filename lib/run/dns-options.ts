import { isIP } from 'node:net';

import type { ContainerSettings } from '../oci/settings';
import { checkArray, checkText, invalidOption, type PlainObject } from '../util/checks';
import { ownResolver } from './resolv-conf';

/** The options `dns`, `dnsSearch` and `dnsOptions`. @throws ERR_INVALID_OPTION naming the option */
export function settleDns({
  dns,
  dnsSearch,
  dnsOptions,
}: PlainObject): Pick<ContainerSettings, 'dns' | 'dnsSearch' | 'dnsOptions'> {
  return {
    dns: dns === undefined ? [] : checkArray('dns', dns, checkServer),
    ...(dnsSearch === undefined ? {} : { dnsSearch: settleSearch(dnsSearch) }),
    ...(dnsOptions === undefined ? {} : { dnsOptions: checkArray('dnsOptions', dnsOptions, checkWord) }),
  };
}

function checkServer(option: string, value: unknown): string {
  const text = checkText(option, value);
  if (isIP(text) === 0) {
    throw invalidOption(option, value, 'must be an IP address');
  }
  if (text === ownResolver) {
    throw invalidOption(option, value, "must be another server's address: this is the container's own resolver");
  }
  return text;
}

/** As for `docker run`, `.` alone is no domain at all. */
function settleSearch(value: unknown): string[] {
  const domains = checkArray('dnsSearch', value, (option, domain) =>
    domain === '.' ? domain : checkDomain(option, domain),
  );
  if (domains.length > 1 && domains.includes('.')) {
    throw invalidOption('dnsSearch', value, "must be domains, or '.' alone for none");
  }
  return domains.filter((domain) => domain !== '.');
}

function checkDomain(option: string, value: unknown): string {
  if (typeof value !== 'string' || !/^[a-zA-Z0-9_]([a-zA-Z0-9_.-]{0,252}[a-zA-Z0-9_.])?$/.test(value)) {
    throw invalidOption(option, value, 'must be a domain');
  }
  return value;
}

function checkWord(option: string, value: unknown): string {
  if (typeof value !== 'string' || !/^[a-z][a-z0-9-]*(:[0-9]+)?$/.test(value)) {
    throw invalidOption(option, value, "must be an option of resolv.conf(5), like 'ndots:1'");
  }
  return value;
}
