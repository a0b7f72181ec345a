import { formatSubnet, parseIpv4, parseSubnet, sizeOf, type Subnet } from '../network/ipv4';
import type { NewNetwork } from './network-store';
import {
  checkArgument,
  checkBoolean,
  checkInteger,
  checkOptions,
  checkRecord,
  checkText,
  invalidOption,
} from '../util/checks';
import { checkNetworkName } from './network-option';

export interface NetworkSettings extends Omit<NewNetwork, 'name'> {
  name?: string;
  detached: boolean;
}

// What IPv4 must be able to send in one piece (RFC 791), and what a veth can.
const minMtu = 68;
const maxMtu = 65535;
const minMtu6 = 1280; // RFC 8200, 5
const largestPrefix = 30;
const smallestPrefix = 8;

/** The options of createNetwork. @throws ERR_INVALID_OPTION */
export function settleNetworkOptions(options: unknown): NetworkSettings {
  const known = ['name', 'subnet', 'gateway', 'ipv6', 'internal', 'labels', 'mtu', 'detached'];
  const given = checkOptions('createNetwork', options, known);
  const { name, gateway, ipv6, internal, labels, mtu, detached } = given;
  const hasIpv6 = ipv6 !== undefined && checkBoolean('ipv6', ipv6);
  const subnet = given['subnet'] === undefined ? undefined : checkSubnet('subnet', given['subnet']);
  return {
    ...(name === undefined ? {} : { name: checkNetworkName('name', name) }),
    ...(subnet === undefined ? {} : { subnet }),
    ...(gateway === undefined ? {} : { gateway: checkGateway('gateway', gateway, subnet) }),
    ipv6: hasIpv6,
    internal: internal === undefined ? false : checkBoolean('internal', internal),
    ...(mtu === undefined ? {} : { mtu: checkInteger('mtu', mtu, hasIpv6 ? minMtu6 : minMtu, maxMtu) }),
    labels: labels === undefined ? {} : checkRecord('labels', labels, checkArgument),
    detached: detached === undefined ? false : checkBoolean('detached', detached),
  };
}

function checkSubnet(option: string, value: unknown): Subnet {
  const subnet = parseSubnet(checkText(option, value));
  if (!subnet || subnet.prefix < smallestPrefix || subnet.prefix > largestPrefix || !isUnicast(subnet)) {
    const wanted = `must be a subnet like '10.200.1.0/24', with a prefix of ${smallestPrefix} to ${largestPrefix}, no bits behind it, and not loopback or multicast`;
    throw invalidOption(option, value, wanted);
  }
  return subnet;
}

/** RFC 1122, 3.2.1.3: the network 0, loopback, and what is above the classes that hosts have. */
function isUnicast({ base }: Subnet): boolean {
  const first = Math.floor(base / 2 ** 24);
  return first !== 0 && first !== 127 && first < 224;
}

function checkGateway(option: string, value: unknown, subnet: Subnet | undefined): string {
  const text = checkText(option, value);
  const address = parseIpv4(text);
  if (!subnet) {
    throw invalidOption(option, value, 'needs `subnet`: give both or neither');
  }
  const index = address === undefined ? -1 : address - subnet.base;
  if (index < 1 || index > sizeOf(subnet) - 2) {
    throw invalidOption(option, value, `must be an address of ${formatSubnet(subnet)}, not its first or last one`);
  }
  return text;
}
