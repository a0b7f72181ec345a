import { parseIpv4 } from '../network/ipv4';
import { defaultNetwork } from '../network/bridge-network';
import { maxInterfaces } from '../network/endpoint';
import type { AttachmentSetting, NetworkSetting } from '../oci/settings';
import { checkArray, checkOptions, checkText, invalidOption, isPlainObject } from '../util/checks';

const modes = ['none', 'host'] as const;
const shared = 'container:';
const wanted =
  "must be 'bridge', 'none', 'host', 'container:<name or id>', a network's name, a Network, or several of them as {name: {aliases, address}}";

/**
 * The options `network` and `aliases`.
 *
 * @throws ERR_INVALID_OPTION naming the option
 */
export function settleNetwork(network: unknown, aliases: unknown): NetworkSetting {
  const more = aliases === undefined ? [] : checkAliases('aliases', aliases);
  const setting = isSeveral(network) ? settleSeveral(network) : settleOne(nameOf(network ?? defaultNetwork));
  const named = setting.mode === 'bridge' ? setting.networks.filter((each) => each.network !== defaultNetwork) : [];
  if (more.length > 0 && named.length === 0) {
    throw invalidOption('aliases', aliases, 'are for networks made with createNetwork: give one as `network`');
  }
  named.forEach((each) => (each.aliases = [...new Set([...each.aliases, ...more])]));
  return setting;
}

/** A Network has a name of its own; of several by name it is the key. */
function isSeveral(value: unknown): value is Record<string, unknown> {
  return isPlainObject(value) && typeof value['name'] !== 'string';
}

function nameOf(value: unknown): string {
  const name = isPlainObject(value) ? value['name'] : value;
  return typeof name === 'string' && name.startsWith(shared) ? name : checkNetworkName('network', name);
}

function settleOne(name: string): NetworkSetting {
  if (name.startsWith(shared)) {
    const container = name.slice(shared.length);
    if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(container)) {
      throw invalidOption('network', name, "must have a container's name or id behind 'container:'");
    }
    return { mode: 'container', container };
  }
  const mode = modes.find((each) => each === name);
  return mode ? { mode } : { mode: 'bridge', networks: [{ network: name, aliases: [] }] };
}

function settleSeveral(value: Record<string, unknown>): NetworkSetting {
  const networks = Object.entries(value).map(([key, given]) => {
    const isAlone = modes.some((each) => each === key) || key.startsWith(shared);
    const network = isAlone ? key : checkNetworkName('network', key);
    if (isAlone) {
      throw invalidOption('network', network, 'cannot be joined with others: give it alone, as a string');
    }
    return { network, ...settleAttachment(`network.${key}`, network, given) };
  });
  if (networks.length === 0 || networks.length > maxInterfaces) {
    throw invalidOption('network', value, `must name 1 to ${maxInterfaces} networks`);
  }
  return { mode: 'bridge', networks };
}

/** The options of a container's place on one network. @throws ERR_INVALID_OPTION */
export function settleAttachment(option: string, network: string, value: unknown): Omit<AttachmentSetting, 'network'> {
  const { aliases, address } = checkOptions(option, value ?? {}, ['aliases', 'address']);
  if (network === defaultNetwork && (aliases !== undefined || address !== undefined)) {
    throw invalidOption(
      option,
      value,
      'must be empty on the default network: aliases and addresses are for networks made with createNetwork',
    );
  }
  return {
    aliases: aliases === undefined ? [] : checkAliases(`${option}.aliases`, aliases),
    ...(address === undefined ? {} : { address: checkIpv4(`${option}.address`, address) }),
  };
}

/** Names as they stand in a file of names and in a DNS query. */
function checkAliases(option: string, value: unknown): string[] {
  return checkArray(option, value, (name, alias) => {
    if (typeof alias !== 'string' || !/^[a-zA-Z0-9_]([a-zA-Z0-9_.-]{0,251}[a-zA-Z0-9_])?$/.test(alias)) {
      throw invalidOption(name, alias, 'must be a host name');
    }
    return alias;
  });
}

function checkIpv4(option: string, value: unknown): string {
  const text = checkText(option, value);
  if (parseIpv4(text) === undefined) {
    throw invalidOption(option, value, 'must be an IPv4 address');
  }
  return text;
}

/** `default` is what Docker calls the default network, too. */
export function checkNetworkName(option: string, value: unknown): string {
  if (typeof value !== 'string' || !/^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}$/.test(value)) {
    throw invalidOption(
      option,
      value,
      option === 'network' ? wanted : 'must match [a-zA-Z0-9][a-zA-Z0-9_.-]* and have at most 128 characters',
    );
  }
  return value === 'default' ? defaultNetwork : value;
}
