import js from '@eslint/js';
import tseslint from 'typescript-eslint';
import { importsRule } from './scripts/imports-rule.mjs';

const PURE = ['lib', 'proto', 'engine', 'store', 'translate'];
const NODE = [...PURE, 'node'];
const OUTSIDE = ['docker', 'network', 'logs', 'stats', 'metrics', 'registry', 'tracing'];
const BELOW = [...NODE, ...OUTSIDE];
const SERVER = [...BELOW, 'containers', 'sync', 'streaming'];
/** The harness tests any CRI runtime and must not depend on the daemon: it uses only our listener, our client, and what both import. */
const HARNESS_KNOWS = [
  'lib',
  'proto',
  'node',
  'config/parsers',
  'server/listener',
  'server/client/cri-client',
  'release',
];
/** What a folder of src may import in addition to its own files (CONTRIBUTING.md). '' stands for the files in src itself. */
const KNOWS = {
  lib: [],
  proto: ['lib'],
  engine: [],
  store: ['lib', 'proto'],
  translate: ['lib', 'proto', 'engine', 'store'],
  node: PURE,
  docker: NODE,
  network: NODE,
  logs: NODE,
  stats: NODE,
  metrics: NODE,
  registry: NODE,
  tracing: ['lib'],
  containers: BELOW,
  sync: [...BELOW, 'containers'],
  streaming: BELOW,
  server: SERVER,
  doctor: [...SERVER, 'server', 'config'],
  harness: HARNESS_KNOWS,
  migrate: [...SERVER, 'server', 'config', 'doctor', 'harness'],
  config: 'all',
  cli: 'all',
  '': 'all',
};
/** The only folder or folders that may import each outside library. */
const HOMES = {
  dockerode: 'docker',
  '@grpc/grpc-js': ['server', 'migrate'],
  'hpack.js': 'lib',
  winston: 'lib',
  commander: 'cli',
  protobufjs: 'proto',
  ws: 'streaming',
  'prom-client': 'metrics',
  yaml: ['config', 'doctor', 'harness', 'migrate'],
  'smol-toml': 'migrate',
  '@opentelemetry': 'tracing',
};

/** Records change under the lock that src/containers keeps (docs/adr/0068). */
const WRITERS = {
  group: ['**/store/*'],
  importNames: ['WritableStore', 'RecordTable', 'ContainerTable'],
  message: 'Records are changed through ContainerLife.withContainer (src/containers/life.ts).',
};

/** The values of EngineState (src/store/records.ts). */
const STATES = '/^(created|running|paused|restarting|removing|exited|dead|unknown)$/';

/** Only the commands of the harness and of the migration load these two, and the program loads a command when it runs. */
const LAZY_RULES = [
  {
    files: ['src/*.ts', 'src/cli/**/*.ts', 'src/config/**/*.ts', 'src/doctor/**/*.ts', 'src/server/**/*.ts'],
    ignores: ['src/cli/cri/**', 'src/cli/migrate/**'],
    rules: {
      '@typescript-eslint/no-restricted-imports': [
        'error',
        {
          patterns: [
            {
              regex: '^(\\.\\./|\\./)+harness(/|$)',
              message: 'Only the commands in src/cli/cri and src/cli/migrate import src/harness.',
            },
            {
              regex: '^(\\.\\./|\\./)+migrate(/|$)',
              message: 'Only the commands in src/cli/migrate import src/migrate.',
            },
            {
              regex: '^(\\.\\./|\\./)*(cri|migrate)/[a-z-]+$',
              allowTypeImports: true,
              message: 'Load a command with import() when it runs.',
            },
          ],
        },
      ],
    },
  },
];

export default tseslint.config(
  { ignores: ['dist', 'coverage', 'src/proto/gen', 'node_modules'] },
  js.configs.recommended,
  {
    files: ['**/*.ts'],
    extends: [...tseslint.configs.strictTypeChecked, ...tseslint.configs.stylisticTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/switch-exhaustiveness-check': 'error',
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allowBoolean: true },
      ],
      '@typescript-eslint/no-unused-vars': ['error', { ignoreRestSiblings: true }],
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      // CRI's enums are open, because our validation must see unknown numbers from the wire.
      '@typescript-eslint/no-unsafe-enum-comparison': 'off',
      // winston's own type declarations violate this rule.
      '@typescript-eslint/no-unsafe-class-instance-assignment': 'off',
      'no-restricted-exports': ['error', { restrictDefaultExports: { direct: true } }],
      'max-lines': ['error', { max: 400 }],
    },
  },
  {
    files: ['src/**/*.ts'],
    plugins: { dockbridge: { rules: { imports: importsRule } } },
    rules: { 'dockbridge/imports': ['error', { knows: KNOWS, homes: HOMES }] },
  },
  {
    files: ['src/**/*.ts'],
    ignores: ['src/store/**', 'src/containers/**', 'src/engine-side.ts'],
    rules: { 'no-restricted-imports': ['error', { patterns: [WRITERS] }] },
  },
  {
    files: ['src/**/*.ts'],
    // The harness uses CRI's states, not the Engine's.
    ignores: ['src/store/states.ts', 'src/harness/**'],
    rules: {
      'no-restricted-syntax': [
        'error',
        ...[
          `BinaryExpression[operator=/^[!=]==$/][left.name="state"][right.value=${STATES}]`,
          `BinaryExpression[operator=/^[!=]==$/][left.property.name="state"][right.value=${STATES}]`,
          `BinaryExpression[operator=/^[!=]==$/][left.expression.property.name="state"][right.value=${STATES}]`,
          `CallExpression[callee.property.name="includes"][callee.object.elements.0.value=${STATES}]`,
          `SwitchCase[test.value=${STATES}]`,
        ].map((selector) => ({
          selector,
          message: 'Ask with a function of src/store/states.ts, or add one there.',
        })),
      ],
    },
  },
  ...LAZY_RULES,
  {
    files: ['src/**/*.ts'],
    rules: {
      'no-restricted-properties': [
        'error',
        ...['any', 'timeout'].map((property) => ({
          object: 'AbortSignal',
          property,
          message: 'Its timers and listeners stay until a signal fires: use src/lib/async/deadline.ts.',
        })),
      ],
    },
  },
  {
    files: ['page/**/*.ts'],
    rules: {
      'no-restricted-properties': [
        'error',
        ...[
          'innerHTML',
          'outerHTML',
          'insertAdjacentHTML',
          'setHTMLUnsafe',
          'srcdoc',
          'write',
          'writeln',
        ].map((property) => ({
          property,
          message: 'Nothing in the page parses HTML: use element() (docs/adr/0075).',
        })),
      ],
      'no-restricted-imports': [
        'error',
        {
          patterns: [
            {
              regex:
                '^(?!\\./)(?!\\.\\./src/(lib/counted|harness/(pattern|show/shown-call|show/latency|html/page-data|tape/lost-lines))$)',
              message:
                'The page runs in a browser: import only modules that need no Node.js (docs/adr/0075).',
            },
          ],
        },
      ],
    },
  },
  {
    files: ['test/**/*.ts'],
    rules: {
      '@typescript-eslint/no-non-null-assertion': 'off',
      'no-restricted-exports': 'off',
      'max-lines': 'off',
      'no-restricted-syntax': [
        'error',
        {
          selector: 'CallExpression[callee.property.name="toMatchObject"] Property > Literal[regex]',
          message: 'toMatchObject accepts any value for a RegExp: use expect.stringMatching.',
        },
        {
          selector:
            'CallExpression[callee.property.name="toMatchObject"] Property > ObjectExpression[properties.length=0]',
          message: 'toMatchObject accepts any object for {}: compare that property with toEqual.',
        },
      ],
    },
  },
  {
    files: ['**/*.js', '**/*.mjs'],
    languageOptions: {
      globals: {
        require: 'readonly',
        module: 'writable',
        process: 'readonly',
        console: 'readonly',
        __dirname: 'readonly',
      },
    },
  },
);
