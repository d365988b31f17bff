import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, dirname, join, relative, resolve } from 'node:path';
import ts from 'typescript';

/** The import graph of the source texts. Paths are relative to the repository. */
export class ImportGraph {
  private readonly imports = new Map<string, readonly string[]>();

  constructor(private readonly root: string) {}

  /** Returns the number of imports between a file and every file that it reaches. */
  distancesFrom(file: string): ReadonlyMap<string, number> {
    const distances = new Map([[file, 0]]);
    for (const [from, distance] of distances)
      for (const to of this.importsOf(from)) if (!distances.has(to)) distances.set(to, distance + 1);
    return distances;
  }

  private importsOf(file: string): readonly string[] {
    let found = this.imports.get(file);
    if (found === undefined) {
      found = file.endsWith('.ts') ? this.read(file) : [];
      this.imports.set(file, found);
    }
    return found;
  }

  private read(file: string): string[] {
    const text = readFileSync(join(this.root, file), 'utf8');
    return ts
      .preProcessFile(text)
      .importedFiles.filter(({ fileName }) => fileName.startsWith('.'))
      .flatMap(({ fileName }) => this.resolved(resolve(this.root, dirname(file), fileName)) ?? []);
  }

  private resolved(path: string): string | undefined {
    const found = [path, `${path}.ts`, `${path}.js`, join(path, 'index.ts')].find(
      (candidate) => existsSync(candidate) && statSync(candidate).isFile(),
    );
    return found === undefined ? undefined : relative(this.root, found);
  }
}

/** A test file, and its distance from the file of a mutant. */
interface Candidate {
  readonly test: string;
  readonly distance: number;
}

/**
 * Finds the test files that import a file of `src`, directly or indirectly. Those that will most probably
 * notice a fault come first.
 */
export class TestsByDistance {
  private readonly distances: readonly (readonly [test: string, reached: ReadonlyMap<string, number>])[];

  constructor(tests: readonly string[], graph: ImportGraph) {
    this.distances = tests.map((test) => [test, graph.distancesFrom(test)] as const);
  }

  of(file: string): string[] {
    const candidates = this.distances.flatMap(([test, reached]): Candidate[] => {
      const distance = reached.get(file);
      return distance === undefined ? [] : [{ test, distance }];
    });
    return candidates
      .sort((a, b) => rank(a, file) - rank(b, file) || a.test.localeCompare(b.test))
      .map(({ test }) => test);
  }
}

/**
 * Returns the place of a test in the order: the test with the same name, tests with a similar name in the
 * same folder, other tests of the folder, tests of the same room, all others; each by distance.
 */
function rank({ test, distance }: Candidate, file: string): number {
  const nameOfTest = basename(test, '.test.ts');
  const name = basename(file, '.ts');
  if (nameOfTest === name) return distance;
  const folder = dirname(file).replace(/^src/, 'test/unit');
  if (dirname(test) === folder && (name.startsWith(nameOfTest) || nameOfTest.startsWith(name)))
    return 100 + distance;
  if (dirname(test) === folder) return 200 + distance;
  if (roomOf(test, 2) === roomOf(file, 1)) return 300 + distance;
  return 400 + distance;
}

function roomOf(file: string, depth: number): string | undefined {
  return file.split('/')[depth];
}

/** Returns all files under a folder whose names end with `suffix`, sorted. Paths are relative to the repository. */
export function filesUnder(root: string, folder: string, suffix: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(suffix))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)))
    .sort();
}
