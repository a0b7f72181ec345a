// npx jest --config examples/build/postgres/jest.config.js
export default {
  globalSetup: './setup.js',
  globalTeardown: './teardown.js',
  testTimeout: 60_000,
};
