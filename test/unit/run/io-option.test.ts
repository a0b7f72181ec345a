import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { numbersOf } from '../../../lib/run/device-number';
import { resolveIo, settleIo } from '../../../lib/run/io-option';

test('weights and rates in one form', () => {
  const io = {
    weight: 500,
    readBytesPerSecond: { '/dev/a': '1m', '/dev/b': 7 },
    writeOperationsPerSecond: { '/dev/a': 100 },
  };
  expect(settleIo('io', io)).toEqual({
    weight: 500,
    throttles: [
      { kind: 'throttleReadBpsDevice', device: '/dev/a', rate: 1048576 },
      { kind: 'throttleReadBpsDevice', device: '/dev/b', rate: 7 },
      { kind: 'throttleWriteIOPSDevice', device: '/dev/a', rate: 100 },
    ],
  });
  expect(settleIo('io', {})).toEqual({ throttles: [] });
});

test.each([
  [{ weight: 9 }, /io\.weight.*10/],
  [{ weight: 1001 }, /io\.weight.*1000/],
  [{ readBytesPerSecond: { sda: 1 } }, /absolute path of a block device/],
  [{ writeBytesPerSecond: { '/dev/a': 0 } }, /io\.writeBytesPerSecond.*1/],
  [{ writeBytesPerSecond: { '/dev/a': 'fast' } }, /512m/],
  [{ readOperationsPerSecond: { '/dev/a': '1m' } }, /io\.readOperationsPerSecond/],
  [{ readBps: { '/dev/a': 1 } }, /readBps.*unknown/],
  [[], /object/],
])('refuses %j', (io, message) => {
  expect(() => settleIo('io', io)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_OPTION' }) as Error);
  expect(() => settleIo('io', io)).toThrow(message);
});

test('what is no disk is refused by its name', () => {
  const folder = mkdtempSync(join(tmpdir(), 'io-option-'));
  const file = join(folder, 'file');
  writeFileSync(file, '');
  try {
    for (const device of ['/dev/null', file, join(folder, 'absent')]) {
      const io = settleIo('io', { readBytesPerSecond: { [device]: 1 } });
      expect(() => resolveIo(io)).toThrow(`not ${JSON.stringify(device)}`);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
  expect(resolveIo({ weight: 10, throttles: [] })).toEqual({ weight: 10 });
});

test('numbers of a device', () => {
  expect(numbersOf(statSync('/dev/null').rdev)).toEqual({ major: 1, minor: 3 });
  // The bits that are not side by side.
  expect(numbersOf((0x493 << 20) + (0x103 << 8) + 0xe0)).toEqual({ major: 0x103, minor: 0x493e0 });
});
