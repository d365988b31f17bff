import js from '@eslint/js';
import tseslint from 'typescript-eslint';

/**
 * Who may import whom (CONTRIBUTING.md): a folder knows the layers before its own, never a later one, and
 * never a sibling of its own layer unless listed. Each outside library has exactly one home.
 */
const LAYERS = [
  ['lib'],
  ['proto', 'engine'],
  ['store', 'translate'],
  ['node'],
  ['docker', 'network', 'stats', 'logs', 'metrics', 'registry', 'tracing'],
  ['containers'],
  ['sync', 'streaming'],
  ['server'],
];
/** The composition root. */
const ROOT = [
  'daemon',
  'engine-side',
  'observability',
  'node-parts',
  'acting',
  'observing',
  'start-logs',
  'watched-parts',
];
const SIBLINGS_ALLOWED = { translate: ['store'] };
const HOMES = {
  dockerode: 'docker',
  '@grpc/grpc-js': 'server',
  'hpack.js': 'lib',
  winston: 'lib',
  commander: 'cli',
  protobufjs: 'proto',
  ws: 'streaming',
  'prom-client': 'metrics',
  yaml: 'config (and doctor and harness)',
  '@opentelemetry': 'tracing',
};

/** Records change under the lock that src/containers keeps (docs/adr/0068). */
const WRITERS = {
  group: ['**/store/*'],
  importNames: ['WritableStore', 'RecordTable', 'ContainerTable'],
  message: 'Records are changed through ContainerLife.withContainer (src/containers/life.ts).',
};

function layerRule(folder, level) {
  const later = LAYERS.slice(level + 1).flat();
  const siblings = LAYERS[level].filter(
    (other) => other !== folder && !(SIBLINGS_ALLOWED[folder] ?? []).includes(other),
  );
  const banned = [...later, ...siblings, 'cli', 'config', 'doctor', 'harness', 'tools', ...ROOT];
  return {
    files: [`src/${folder}/**/*.ts`],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          patterns: [
            {
              regex: `^(\\.\\./)+(${banned.join('|')})(/|$)`,
              message: `src/${folder} may not know this layer (CONTRIBUTING.md).`,
            },
            ...(['store', 'containers'].includes(folder) ? [] : [WRITERS]),
            ...Object.entries(HOMES)
              .filter(([, home]) => home !== folder)
              .map(([library, home]) => ({
                regex: `^${library}(/|$)`,
                message: `Only src/${home} imports ${library}.`,
              })),
          ],
        },
      ],
    },
  };
}

/**
 * What tests any CRI runtime knows nothing of ours: only our listener and client, and what those stand on. It is loaded by its
 * commands alone, so nobody else imports it.
 */
const HARNESS_KNOWS = [
  'lib',
  'proto',
  'node',
  'config/parsers',
  'server/listener',
  'server/client/cri-client',
  'release',
];
const HARNESS_RULES = [
  {
    files: ['src/harness/**/*.ts'],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          patterns: [
            {
              regex: `^(\\.\\./)+(?!(${HARNESS_KNOWS.join('|')})(/|$))(${[...LAYERS.flat(), 'cli', 'config', 'doctor', ...ROOT].join('|')})(/|$)`,
              message: `src/harness knows ${HARNESS_KNOWS.join(', ')} (docs/adr/0072).`,
            },
            ...Object.keys(HOMES)
              .filter((library) => library !== 'yaml')
              .map((library) => ({
                regex: `^${library}(/|$)`,
                message: `src/harness does not import ${library}.`,
              })),
          ],
        },
      ],
    },
  },
  {
    files: ['src/*.ts', 'src/cli/**/*.ts', 'src/config/**/*.ts', 'src/doctor/**/*.ts'],
    ignores: ['src/cli/cri/**'],
    rules: {
      '@typescript-eslint/no-restricted-imports': [
        'error',
        {
          patterns: [
            {
              regex: '^(\\.\\./|\\./)+harness(/|$)',
              message: 'Only the commands in src/cli/cri import src/harness, which are loaded when they run.',
            },
            {
              regex: '^(\\.\\./|\\./)*cri/(record|show|diff|diff-effects|effects|replay|fault)$',
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
      // CRI enums are open: an unknown number on the wire must reach our validation.
      '@typescript-eslint/no-unsafe-enum-comparison': 'off',
      // winston's own typings trip over this rule.
      '@typescript-eslint/no-unsafe-class-instance-assignment': 'off',
      'no-restricted-exports': ['error', { restrictDefaultExports: { direct: true } }],
      'max-lines': ['error', { max: 400 }],
    },
  },
  ...LAYERS.flatMap((layer, level) => layer.map((folder) => layerRule(folder, level))),
  ...HARNESS_RULES,
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
              regex: '^(?!\\./)(?!\\.\\./src/harness/(pattern|show/shown-call|show/latency|html/page-data)$)',
              message: 'The page runs in a browser: it knows what needs no Node.js (docs/adr/0075).',
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
          message: 'toMatchObject takes any value for a RegExp: use expect.stringMatching.',
        },
        {
          selector:
            'CallExpression[callee.property.name="toMatchObject"] Property > ObjectExpression[properties.length=0]',
          message: 'toMatchObject takes any object for {}: compare that property with toEqual.',
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
