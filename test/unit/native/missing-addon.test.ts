import { socketpair } from '../../../lib/native/binding';

jest.mock('node:fs', () => ({ existsSync: () => false }));

test('without the native part the error says how to get it', () => {
  expect(() => socketpair()).toThrow(
    expect.objectContaining({ code: 'ERR_ADDON_MISSING', message: expect.stringMatching(/npm (install|run build)/) }),
  );
});
