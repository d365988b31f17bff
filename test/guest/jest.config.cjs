'use strict';

/** jest's configuration in the guest, where the tests are already JavaScript (compile.mjs). */
module.exports = {
  testEnvironment: 'node',
  transform: {},
  testMatch: ['<rootDir>/test/integration/**/*.test.js'],
  roots: ['<rootDir>/test'],
  globalSetup: '<rootDir>/test/integration/support/global-setup.js',
  globalTeardown: '<rootDir>/test/integration/support/global-teardown.js',
  // An emulated processor is ten to twenty times slower.
  testTimeout: 600_000,
};
