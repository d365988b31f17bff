import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const ROOT = join(__dirname, '../../..');
const RULES = [
  'dockbridge/imports',
  'no-restricted-imports',
  '@typescript-eslint/no-restricted-imports',
  'no-restricted-syntax',
];
/** The config loads the TypeScript compiler, which takes a long time on a busy machine. */
const LINT_MS = 120_000;

/**
 * Lints texts with the project's own configuration, without the rules that need types, so the files need
 * not exist.
 */
const LINT = `
  import { ESLint } from 'eslint';
  const eslint = new ESLint({
    overrideConfig: [{ languageOptions: { parserOptions: { projectService: false } } }],
    ruleFilter: ({ ruleId }) => ${JSON.stringify(RULES)}.includes(ruleId),
  });
  const found = [];
  for (const [filePath, text] of JSON.parse(process.argv[1])) {
    const [{ messages }] = await eslint.lintText(text, { filePath });
    found.push(messages.map(({ message }) => message).join('; '));
  }
  console.log(JSON.stringify(found));
`;

/** The text of a file, and a part of the expected message; '' if no message is expected. */
type Probe = readonly [file: string, text: string, fault: string];

const IMPORTS: readonly Probe[] = [
  ['src/streaming/probe.ts', "import '../containers/life';", 'not src/containers/life'],
  ['src/streaming/probe.ts', "import '../sync/link-state';", 'not src/sync/link-state'],
  ['src/tracing/probe.ts', "import '../store/store';", 'may import lib (CONTRIBUTING.md), not src/store'],
  ['src/doctor/checks/probe.ts', "import '../../cli/serve';", 'not src/cli/serve'],
  ['src/doctor/probe.ts', "import '../daemon';", 'not src/daemon'],
  ['src/doctor/probe.ts', "import '../../tools/docs/pages';", 'imports only files of src'],
  ['src/cli/probe.ts', "import '../../tools/docs/pages';", 'imports only files of src'],
  ['src/engine/probe.ts', "import '../lib/json';", 'may import nothing of ours'],
  ['src/store/probe.ts', "import type { A } from '../engine/types';", 'not src/engine/types'],
  ['src/lib/async/probe.ts', "export * from '../../proto';", 'not src/proto'],
  ['src/lib/probe.ts', "export { a } from '../node/cgroup';", 'not src/node/cgroup'],
  ['src/node/probe.ts', "void import('../docker/client.js');", 'not src/docker/client'],
  ['src/node/probe.ts', "type A = import('../docker/client').A;", 'not src/docker/client'],
  ['src/node/probe.ts', "require('../docker/client');", 'not src/docker/client'],
  ['src/logs/probe.ts', "require.resolve('../stats/readings');", 'not src/stats/readings'],
  ['src/harness/tape/probe.ts', "import '../../server/call';", 'not src/server/call'],
  ['src/harness/probe.ts', "import '../config/options';", 'not src/config/options'],
  ['src/server/probe.ts', "import '../harness/record';", 'not src/harness/record'],
  ['src/nri/probe.ts', "import '../docker/client';", 'not src/docker/client'],
  ['src/containers/probe.ts', "import '../nri/plugins';", 'not src/nri/plugins'],
  ['src/daemon.ts', "import { Plugins } from './nri/plugins';", 'Load src/nri with import()'],
  ['src/cli/probe.ts', "import '../proto/nri';", 'Load src/nri with import()'],
  ['src/fresh/probe.ts', "import '../lib/json';", 'src/fresh has no row'],
  ['src/cli/probe.ts', "import 'dockerode';", 'Only src/docker may import dockerode'],
  ['src/daemon.ts', "import '@opentelemetry/core';", 'Only src/tracing may import @opentelemetry'],
  [
    'src/server/probe.ts',
    "import 'yaml';",
    'Only src/config, src/doctor, src/harness, src/migrate may import yaml',
  ],
  [
    'src/sync/probe.ts',
    "import { RecordTable } from '../store/record-table';",
    'ContainerLife.withContainer',
  ],
  ['src/daemon.ts', "import { WritableStore } from './store/store';", 'ContainerLife.withContainer'],
  ['src/streaming/spdy/probe.ts', "import '../tokens'; import '../../node/cgroup'; import 'ws';", ''],
  ['src/server/runtime/probe.ts', "import '../exec/command'; import '../../sync/hand-over';", ''],
  ['src/server/runtime/probe.ts', "import '../../proto'; import 'node:fs'; import 'long';", ''],
  [
    'src/harness/tape/probe.ts',
    "import '../../server/listener/socket-listener'; import '../../release';",
    '',
  ],
  ['src/doctor/checks/probe.ts', "import '../../config/options'; import 'yaml';", ''],
  ['src/cli/probe.ts', "import '../daemon'; import '../doctor/check';", ''],
  ['src/nri/ttrpc/probe.ts', "import '../../node/claims'; import '../../proto/nri';", ''],
  ['src/daemon.ts', "import type { Plugins } from './nri/plugins'; void import('./nri/plugins.js');", ''],
  ['src/containers/probe.ts', "import { RecordTable } from '../store/record-table';", ''],
];

const ASK = 'Ask with a function of src/store/states.ts';
const STATES: readonly Probe[] = [
  ['src/sync/probe.ts', "if (record.state === 'exited') f();", ASK],
  ['src/sync/probe.ts', "if (record?.state !== 'running') f();", ASK],
  ['src/sync/probe.ts', "if (state === 'created') f();", ASK],
  ['src/sync/probe.ts', "if (['running', 'paused'].includes(record.state)) f();", ASK],
  ['src/sync/probe.ts', "switch (record.state) { case 'dead': f(); }", ASK],
  ['src/store/states.ts', "if (record.state === 'exited') f();", ''],
  ['src/harness/html/probe.ts', "if (state === 'exited') f();", ''],
  [
    'src/sync/probe.ts',
    "if (link.state === 'away' || status === 'running' || now.state === was.state) f();",
    '',
  ],
];

describe("ESLint's report", () => {
  const probes = [...IMPORTS, ...STATES];
  let said: readonly string[];

  beforeAll(async () => {
    const args = ['--input-type=module', '--eval', LINT, '--', JSON.stringify(probes)];
    const { stdout } = await run(process.execPath, args, { cwd: ROOT });
    said = JSON.parse(stdout) as string[];
  }, LINT_MS);

  it.each(probes)('in %s is the expected one for: %s', (...probe) => {
    const fault = said[probes.findIndex(([file, text]) => file === probe[0] && text === probe[1])];
    if (probe[2] === '') expect(fault).toBe('');
    else expect(fault).toContain(probe[2]);
  });
});
