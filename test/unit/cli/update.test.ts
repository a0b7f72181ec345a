import { updateOptions } from '../../../lib/cli/commands/update';

test('flags of update, as Docker has them', () => {
  expect(
    updateOptions({ memory: '512m', memorySwap: '-1', cpus: '1.5', pidsLimit: '-1', restart: 'on-failure:3' }),
  ).toEqual({ memory: '512m', memorySwap: -1, cpus: 1.5, pids: -1, restart: { policy: 'on-failure', maxRetries: 3 } });
  expect(updateOptions({ cpusetCpus: '0-1', cpuShares: '512', memoryReservation: '1g' })).toEqual({
    cpuset: '0-1',
    cpuShares: 512,
    memoryReservation: '1g',
  });
});

test('nothing to change, and what is no number, are refused', () => {
  expect(() => updateOptions({})).toThrow(/one or more flags/);
  expect(() => updateOptions({ cpus: 'many' })).toThrow(/--cpus takes a number/);
  expect(() => updateOptions({ restart: 'always:3' })).toThrow(/--restart takes/);
});
