'use strict';

const common = {
  testEnvironment: 'node',
  rootDir: __dirname,
  transform: {
    '^.+\\.ts$': ['@swc/jest', { jsc: { parser: { syntax: 'typescript' }, target: 'es2022' } }],
    // The exporter loads node:http with import(), which works in jest only after a transformation.
    '/@opentelemetry/otlp-exporter-base/.+\\.js$': ['@swc/jest', { jsc: { target: 'es2022' } }],
  },
  // A dynamic import names a built file with .js, as Node.js requires. Tests load the source of the same name.
  moduleNameMapper: { '^(\\.{1,2}/.+)\\.js$': ['$1', '$1.js'] },
  // The generated codecs are plain JavaScript of 1 MB: never transform them.
  transformIgnorePatterns: ['/node_modules/(?!@opentelemetry/otlp-exporter-base/)', '/src/proto/gen/'],
};

const withEngine = {
  globalSetup: '<rootDir>/test/integration/support/global-setup.ts',
  globalTeardown: '<rootDir>/test/integration/support/global-teardown.ts',
};

module.exports = {
  projects: [
    { ...common, displayName: 'unit', testMatch: ['<rootDir>/test/unit/**/*.test.ts'] },
    {
      ...common,
      displayName: 'integration',
      testMatch: ['<rootDir>/test/integration/**/*.test.ts'],
      ...withEngine,
    },
    { ...common, displayName: 'churn', testMatch: ['<rootDir>/test/churn/**/*.churn.ts'] },
    { ...common, ...withEngine, displayName: 'bench', testMatch: ['<rootDir>/test/bench/**/*.bench.ts'] },
  ],
  testTimeout: 60_000,
  reporters: [
    'default',
    '<rootDir>/scripts/jest-still-open.cjs',
    ...(process.env.JEST_RESULTS ? ['<rootDir>/scripts/jest-results.cjs'] : []),
  ],
};
