import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { runInNewContext } from 'node:vm';
import ts from 'typescript';
import { filesUnder, ImportGraph, TestsByDistance } from '../../../tools/mutation/import-graph';
import { mutantsOf, mutated } from '../../../tools/mutation/mutants';
import { functionAround, HOOK, instrumented } from '../../../tools/mutation/reach';
import { describe as described, scoreLine } from '../../../tools/mutation/report';
import { sampleOf } from '../../../tools/mutation/sample';

const FILE = 'src/room/file.ts';
const found = (text: string): string[] =>
  mutantsOf(FILE, text).map(({ kind, original, replacement }) => `${kind}: ${original} → ${replacement}`);

describe('mutantsOf', () => {
  it.each([
    { text: 'a < b;', changes: ['statement removed: a < b; → ;', 'boundary: < → <=', 'boundary: < → >='] },
    { text: 'let x = a >= b', changes: ['boundary: >= → >', 'boundary: >= → <'] },
    { text: 'let x = a === b', changes: ['equality: === → !=='] },
    { text: 'let x = a + 1', changes: ['arithmetic: + → -'] },
    { text: 'let x = -a', changes: ['arithmetic: -a → (a)'] },
    { text: 'let x = !a', changes: ['negation: !a → (a)'] },
    { text: 'let x = a++', changes: ['arithmetic: ++ → --'] },
    { text: 'let x = a && b', changes: ['operand dropped: a && b → (a)', 'operand dropped: a && b → (b)'] },
    { text: 'let x = a ?? b', changes: ['operand dropped: a ?? b → (a)', 'operand dropped: a ?? b → (b)'] },
    { text: 'let x = a ? b : c', changes: ['condition: a → true', 'condition: a → false'] },
    { text: 'if (a) {}', changes: ['condition: a → true', 'condition: a → false'] },
    { text: 'while (a) {}', changes: ['condition: a → false'] },
    { text: 'while (true) {}', changes: ['boolean: true → false'] },
    { text: 'let x = "a"', changes: ['text: "a" → \'\''] },
    { text: "let x = ''", changes: ["text: '' → 'mutated'"] },
    { text: 'let x = `a${b}`', changes: ['text: `a${b}` → ``'] },
    { text: 'let x = true', changes: ['boolean: true → false'] },
    {
      text: 'let x = [a, ...b]',
      changes: ['array emptied: [a, ...b] → []', 'element removed: ...b → ...[]'],
    },
    { text: 'let x = { a }', changes: ['object emptied: { a } → ({})'] },
    {
      text: 'let x = { a, ...b }',
      changes: ['property removed: a → ...{}', 'property removed: ...b → ...{}'],
    },
    { text: 'let x = a?.b', changes: ['optional chain: ?. → .'] },
    { text: 'let x = a?.[b]', changes: ['optional chain: ?. → '] },
    { text: 'await a();', changes: ['await dropped: await a() → a()', 'statement removed: await a(); → ;'] },
    { text: 'let x = () => a', changes: ['value not returned: a → undefined'] },
    { text: 'function f() { return a; }', changes: ['value not returned: a → undefined'] },
    { text: 'function f() { throw a; }', changes: ['throw removed: throw a; → ;'] },
    { text: 'let x = a.some(b)', changes: ['method: some → every'] },
    { text: 'let x = a.toString()', changes: [] },
    { text: 'let x = a.filter(b)', changes: ['method: a.filter(b) → a'] },
    { text: 'let x = /^a$/', changes: ['anchor: /^a$/ → /a$/', 'anchor: /^a$/ → /^a/'] },
    {
      text: 'switch (a) { case b: break; default: }',
      changes: ['case removed: case b: break; → ', 'case removed: default: → '],
    },
  ])('finds the mutants of $text', ({ text, changes }) => expect(found(text)).toEqual(changes));

  it.each([
    'import { a } from "./a";',
    'export { a } from "./a";',
    'type T = "a" | true;',
    'interface I { readonly a?: "b" }',
    'let x: "a" | undefined;',
    'logger.warn("a", { b: true });',
    'this.parts.logger.debug(() => `a ${b}`);',
    'let x = a.length',
    'let x: T = {}',
    'let x = []',
  ])('does not change %s', (text) => expect(found(text)).toEqual([]));

  it.each([
    { text: 'let x = new PluginError(`a ${b}`)', rest: [] },
    { text: 'let x = new RuntimeError("NOT_FOUND", a ? "b" : "c")', rest: ['text: "NOT_FOUND" → \'\''] },
    { text: 'let x = invalidArgument("field", `why ${b}`)', rest: ['text: "field" → \'\''] },
    { text: 'let x = unavailable("why")', rest: [] },
    { text: 'let x = gauge("name", "help")', rest: ['text: "name" → \'\''] },
    { text: 'let x = { help: "help", name: "name" }', rest: ['text: "name" → \'\''] },
  ])('does not mutate prose: $text', ({ text, rest }) =>
    expect(found(text).filter((change) => change.startsWith('text'))).toEqual(rest),
  );

  it('makes texts that are still TypeScript, and all differ from the original', () => {
    const text = `
      export async function f({ a, b }: T): Promise<U> {
        for (const x of a) if (x?.y !== undefined && b[x.y] > -1) return { ...x, y: x.y + 1, z: [...b, true] };
        do { b.sort(); } while (b.length < 3);
        ({ a } = b);
        const g = (n: number) => ({ n });
        return g(await h(a ?? 'none', /^a/));
      }
    `;
    const mutants = mutantsOf(FILE, text);
    expect(mutants.length).toBeGreaterThan(25);
    for (const mutant of mutants) {
      const changed = mutated(text, mutant);
      expect(changed).not.toBe(text);
      const { diagnostics } = ts.transpileModule(changed, {
        reportDiagnostics: true,
        compilerOptions: { target: ts.ScriptTarget.ES2022 },
      });
      expect([mutant.kind, diagnostics]).toEqual([mutant.kind, []]);
    }
  });

  it('gives each mutant an id that stays the same when lines or the file move', () => {
    const text = 'function f() { return a < b; }\nfunction g() { return a < b && a < b; }\n';
    const before = mutantsOf(FILE, text).map(({ id }) => id);
    expect(new Set(before).size).toBe(before.length);
    const moved = mutantsOf('src/other/file.ts', `// A comment.\n\n${text}`);
    expect(moved.map(({ id }) => id)).toEqual(before);
    expect(moved[0]?.line).toBe(3);
  });
});

describe('sampleOf', () => {
  const items = Array.from({ length: 200 }, (_, index) => ({ id: `id ${index}` }));

  it('returns the same sample in the same order for the same seed, and another for another seed', () => {
    const sample = sampleOf(items, 20, '1');
    expect(sample).toHaveLength(20);
    expect(sampleOf([...items].reverse(), 20, '1').reverse()).toEqual(sample);
    expect(sample).toEqual(items.filter((item) => sample.includes(item)));
    expect(sampleOf(items, 20, '2')).not.toEqual(sample);
    expect(sampleOf(items, Infinity, '1')).toEqual(items);
  });

  it('changes little when items are added or removed', () => {
    const sample = sampleOf(items, 20, '1');
    const later = sampleOf([...items.slice(2), { id: 'new' }], 20, '1');
    expect(later.filter((item) => sample.includes(item as never)).length).toBeGreaterThanOrEqual(17);
  });
});

describe('instrumented', () => {
  const text = `
    export function ran() { return [1].map((n) => n + 1); }
    export const also = (n: number): object => ({ n });
    export class One { constructor() { this.method(); } method() {} other() {} }
  `;

  it('reports the functions that ran, under the names of functionAround', () => {
    const reached: unknown[] = [];
    const module = { exports: {} as Record<string, () => unknown> };
    const { outputText } = ts.transpileModule(instrumented(FILE, text), {
      compilerOptions: { module: ts.ModuleKind.CommonJS, target: ts.ScriptTarget.ES2022 },
    });
    const sandbox = { [HOOK]: (file: string, position: number) => reached.push([file, position]) };
    runInNewContext(outputText, { ...sandbox, exports: module.exports });
    const around = functionAround(FILE, text);
    const at = (part: string): [string, number] => [FILE, around(text.indexOf(part))];
    expect(reached).toEqual([[FILE, -1]]);
    expect(module.exports.ran?.()).toEqual([2]);
    expect((module.exports.also as unknown as (n: number) => object)(3)).toEqual({ n: 3 });
    new (module.exports.One as unknown as new () => object)();
    expect(reached).toEqual([
      [FILE, -1],
      at('return [1]'),
      at('+ 1'),
      at('{ n })'),
      at('this.method()'),
      at('{} other'),
    ]);
    expect(around(text.indexOf('export const'))).toBe(-1);
  });
});

describe('TestsByDistance', () => {
  let root: string;
  beforeEach(() => (root = mkdtempSync(join(tmpdir(), 'dockbridge-mutation-test-'))));
  afterEach(() => rmSync(root, { recursive: true }));

  function write(files: Record<string, string>): void {
    for (const [file, text] of Object.entries(files)) {
      mkdirSync(dirname(join(root, file)), { recursive: true });
      writeFileSync(join(root, file), text);
    }
  }

  it('sorts first the test of the same name, then its neighbours, then those that import the file indirectly', () => {
    const up = '../../../src';
    write({
      'src/a/one.ts': '',
      'src/a/index.ts': "export * from './one';",
      'src/b/two.ts': "import { one } from '../a';",
      'test/unit/a/one.test.ts': `import '${up}/a/one';`,
      'test/unit/a/all.test.ts': `import '${up}/a';`,
      'test/unit/a/none.test.ts': "import 'node:fs';",
      'test/unit/b/direct.test.ts': `import '${up}/a/one';`,
      'test/unit/b/one.test.ts': `import '${up}/b/two';`,
      'test/unit/b/two.test.ts': `import { two } from '${up}/b/two';`,
    });
    const tests = filesUnder(root, 'test/unit', '.test.ts');
    expect(tests).toHaveLength(6);
    expect(new TestsByDistance(tests, new ImportGraph(root)).of('src/a/one.ts')).toEqual([
      'test/unit/a/one.test.ts',
      'test/unit/b/one.test.ts',
      'test/unit/a/all.test.ts',
      'test/unit/b/direct.test.ts',
      'test/unit/b/two.test.ts',
    ]);
  });

  it('handles circular imports and files without importers', () => {
    write({
      'src/a/one.ts': "import './two'; import './gone';",
      'src/a/two.ts': "import './one'; import data from './data.json';",
      'src/a/data.json': '{}',
    });
    expect([...new ImportGraph(root).distancesFrom('src/a/one.ts')]).toEqual([
      ['src/a/one.ts', 0],
      ['src/a/two.ts', 1],
      ['src/a/data.json', 2],
    ]);
  });
});

describe('the report', () => {
  const [mutant] = mutantsOf(FILE, '\nlet x = a === b');
  const verdict = { mutant: mutant!, filesRun: 2, ms: 1_000 };

  it('shows the place and the text of a survivor', () => {
    expect(described({ ...verdict, fate: 'survived' })).toMatch(
      /^ {2}[0-9a-f]{8} src\/room\/file\.ts:2 equality: === → !== \(2 test files did not notice\)$/,
    );
    expect(described({ ...verdict, fate: 'unreached' })).toContain('(no unit test runs this function)');
  });

  it('rounds a score down, and counts mutants that reached the time limit as noticed', () => {
    const fates = ['killed', 'timeout', 'survived'] as const;
    const line = scoreLine(
      'room',
      fates.map((fate) => ({ ...verdict, fate })),
      4,
    );
    expect(line).toMatch(
      /^room +66 % {2}2 of 3 noticed \(1 by the time limit\), 0 reached by no test, 4 listed/,
    );
    expect(scoreLine('room', [], 0)).toContain('–');
  });
});
