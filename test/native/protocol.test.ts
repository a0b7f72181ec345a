import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import {
  encodeFrame,
  FrameDecoder,
  frameTypes,
  headerSize,
  maxPayload,
  protocolVersion,
} from '../../lib/native/protocol';

const header = readFileSync(join(__dirname, '../../addon/supervisor/protocol.h'), 'utf8');

function constant(name: string): number {
  const match = new RegExp(`constexpr \\w+ ${name} = (\\d+);`).exec(header);
  return Number(match?.[1]);
}

test('both sides of the control protocol have the same numbers', () => {
  const native = [...header.matchAll(/^ {2}k(\w+) = (\d+),$/gm)].map(([, name = '', number]) => [
    name.charAt(0).toLowerCase() + name.slice(1),
    Number(number),
  ]);
  expect(Object.fromEntries(native)).toEqual(frameTypes);
  expect(constant('kProtocolVersion')).toBe(protocolVersion);
  expect(constant('kHeaderSize')).toBe(headerSize);
  expect(constant('kMaxPayload')).toBe(maxPayload);
});

describe('frames', () => {
  const frames = [
    encodeFrame(frameTypes.request, { id: 1, op: 'state' }),
    encodeFrame(frameTypes.stdin, Buffer.alloc(70_000, 7)),
    encodeFrame(frameTypes.stdinEnd, Buffer.alloc(0)),
  ];

  test.each([1, 3, 7, 8, 4096, 100_000])('survive being cut every %d bytes', (size) => {
    const decoder = new FrameDecoder();
    const all = Buffer.concat(frames);
    const decoded = [];
    for (let start = 0; start < all.length; start += size) {
      decoded.push(...decoder.push(all.subarray(start, start + size)));
    }
    expect(decoded.map(({ type }) => type)).toEqual([2, 3, 4]);
    expect(JSON.parse(String(decoded[0]?.payload))).toEqual({ id: 1, op: 'state' });
    expect(decoded[1]?.payload.equals(Buffer.alloc(70_000, 7))).toBe(true);
    expect(decoded[2]?.payload).toHaveLength(0);
  });

  test('larger than 1 MiB are neither made nor taken', () => {
    expect(() => encodeFrame(frameTypes.stdin, Buffer.alloc(maxPayload + 1))).toThrow(RangeError);
    const hostile = Buffer.alloc(headerSize);
    hostile.writeUInt32LE(maxPayload + 1);
    expect(() => new FrameDecoder().push(hostile)).toThrow(RangeError);
  });
});
