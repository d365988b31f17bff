'use strict';
// A process as systemd starts it: serves an echo on the passed descriptor until stdin ends. Its argument is the endpoint.
const { readFileSync } = require('node:fs');
const { transformSync } = require('@swc/core');

const options = { jsc: { parser: { syntax: 'typescript' }, target: 'es2022' }, module: { type: 'commonjs' } };
require.extensions['.ts'] = (module_, file) =>
  module_._compile(transformSync(readFileSync(file, 'utf8'), options).code, file);

const grpc = require('@grpc/grpc-js');
const { silentLogger } = require('../../../../src/lib/logger.ts');
const { SocketListener } = require('../../../../src/server/listener/socket-listener.ts');
const { service } = require('./fixture.ts');

const server = new grpc.Server();
server.addService(service, {
  echo: (call, reply) => reply(null, call.request),
  stream: (call) => call.end(),
});
const logger = { ...silentLogger, warn: (message, fields) => console.log(JSON.stringify(fields)) };
const listener = new SocketListener({ endpoint: process.argv[2], logger });
listener.listen(server).then(
  ({ address }) => console.log(address),
  (error) => console.log(error.message),
);
process.stdin.resume().on('end', () => {
  void listener.close().then(() => server.tryShutdown(() => undefined));
});
