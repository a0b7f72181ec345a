// Lanes: unit needs neither root, network nor addon; native, integration, regression and e2e use the kernel, and run one file
// after another (scripts/test.mjs passes -i). Jest compiles lib/ from source; nothing has to be built for the unit lane.
const kernel = {
  testEnvironment: '<rootDir>/test/support/kernel-environment.ts',
  globalSetup: '<rootDir>/test/support/global-setup.ts',
  globalTeardown: '<rootDir>/test/support/global-teardown.ts',
};

const lane = (name, more = {}) => ({
  displayName: name,
  testMatch: [`<rootDir>/test/${name}/**/*.test.ts`],
  transform: {
    '^.+\\.m?ts$': [
      '@swc/jest',
      {
        jsc: { parser: { syntax: 'typescript' }, target: 'es2022' },
        module: { type: 'commonjs' },
        sourceMaps: 'inline',
      },
    ],
  },
  moduleFileExtensions: ['ts', 'js', 'mjs', 'json', 'node'],
  moduleNameMapper: { '^dinghy$': '<rootDir>/lib/index.ts' },
  modulePathIgnorePatterns: ['<rootDir>/dist/', '<rootDir>/examples/build/'],
  testEnvironment: 'node',
  ...more,
});

module.exports = {
  projects: [
    lane('unit'),
    lane('native', kernel),
    lane('integration', kernel),
    lane('regression', kernel),
    lane('e2e', kernel),
  ],
  testTimeout: 60_000,
};
