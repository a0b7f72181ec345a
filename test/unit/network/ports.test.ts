import { parsePorts, publishExposed } from '../../../lib/network/ports';

const tcp = (hostAddress: string, hostPort: number, containerPort: number) => ({
  hostAddress,
  hostPort,
  containerPort,
  protocol: 'tcp',
});

describe('parsePorts', () => {
  it.each([
    [5432, [tcp('localhost', 0, 5432)]],
    ['5432', [tcp('localhost', 0, 5432)]],
    ['53/udp', [{ ...tcp('localhost', 0, 53), protocol: 'udp' }]],
    ['8001:80', [tcp('', 8001, 80)]],
    [':80', [tcp('', 0, 80)]],
    ['0:80', [tcp('', 0, 80)]],
    ['8001:80/TCP', [tcp('', 8001, 80)]],
    ['127.0.0.1:8001:80', [tcp('127.0.0.1', 8001, 80)]],
    ['127.0.0.1::80/udp', [{ ...tcp('127.0.0.1', 0, 80), protocol: 'udp' }]],
    ['0.0.0.0:8001:80', [tcp('0.0.0.0', 8001, 80)]],
    ['localhost:8001:80', [tcp('localhost', 8001, 80)]],
    ['[::1]:8080:80', [tcp('::1', 8080, 80)]],
    ['[::]::80', [tcp('::', 0, 80)]],
    ['[2001:db8::1]:8080:80', [tcp('2001:db8::1', 8080, 80)]],
    ['8000-8002:9000-9002', [tcp('', 8000, 9000), tcp('', 8001, 9001), tcp('', 8002, 9002)]],
    ['127.0.0.1::9000-9001', [tcp('127.0.0.1', 0, 9000), tcp('127.0.0.1', 0, 9001)]],
    ['9000-9001', [tcp('localhost', 0, 9000), tcp('localhost', 0, 9001)]],
    [{ containerPort: 80 }, [tcp('localhost', 0, 80)]],
    [{ containerPort: 80, hostPort: 8001 }, [tcp('', 8001, 80)]],
    [
      { containerPort: 53, hostPort: 53, hostAddress: '::1', protocol: 'udp' },
      [{ ...tcp('::1', 53, 53), protocol: 'udp' }],
    ],
  ])('%j', (given, expected) => {
    expect(parsePorts([given])).toEqual(expected);
  });

  it.each([
    ['', /ports\[0\]: must be a container port/],
    ['80:', /must be a container port/],
    ['0', /must be an integer from 1 to 65535, not 0/],
    [0, /must be an integer from 1 to 65535/],
    [65536, /must be an integer from 1 to 65535/],
    [80.5, /must be an integer/],
    ['70000:80', /must be an integer from 0 to 65535/],
    ['8001:0', /must be an integer from 1/],
    ['80/sctp', /'tcp' or 'udp'/],
    ['example.com:80:80', /must have an IP address of this host/],
    ['::1:8080:80', /must be a container port/],
    ['[127.0.0.1]:8080:80', /must have an IP address/],
    ['[::1:8080:80', /must be a container port/],
    ['[fe80::1%eth0]:8080:80', /must have an IP address/],
    ['010.0.0.1:8080:80', /must have an IP address/],
    ['8000-8005:8000-8004', /as many host ports as container ports/],
    ['8000-8005:80', /as many host ports as container ports/],
    ['8005-8000:8005-8000', /begins with its lowest port/],
    ['0-5:80-85', /begins with its lowest port/],
    ['8000-:80', /must be a container port/],
    ['80 ', /must be a container port/],
    [null, /must be a container port/],
    [true, /must be a container port/],
    [{ containerPort: 80, hostport: 1 }, /hostport .*did you mean hostPort/],
    [{ hostPort: 80 }, /ports\[0\]\.containerPort/],
    [{ containerPort: 80, hostAddress: 7 }, /ports\[0\]\.hostAddress/],
    [{ containerPort: 80, protocol: 'icmp' }, /ports\[0\]\.protocol/],
  ])('refuses %j', (given, message) => {
    expect(() => parsePorts([given])).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_OPTION', message: expect.stringMatching(message) }),
    );
  });

  it('names the entry that is wrong', () => {
    expect(() => parsePorts([80, 'x'])).toThrow(/option ports\[1\]/);
    expect(() => parsePorts('8001:80')).toThrow(/option ports: must be an array/);
  });

  it('refuses one host port twice, but not under two protocols, two addresses, or when free ones are asked for', () => {
    expect(() => parsePorts(['8001:80', '8000-8001:90-91'])).toThrow(/must not publish one host port twice/);
    expect(parsePorts(['8001:80', '8001:80/udp', '127.0.0.1:8001:80', 80, 80])).toHaveLength(5);
  });
});

test('publishExposed adds what is not published yet, on all addresses', () => {
  const ports = parsePorts(['8001:80']);
  expect(publishExposed(['80/tcp', '80/udp', '443', '7000-7001/tcp'], ports)).toEqual([
    { ...tcp('', 0, 80), protocol: 'udp' },
    tcp('', 0, 443),
    tcp('', 0, 7000),
    tcp('', 0, 7001),
  ]);
});
