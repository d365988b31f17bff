import { invalidArgument } from '../../lib/errors';

export interface Runtime {
  readonly name: string;
  readonly version: string;
}

export type RuntimeMatch = (runtime: Runtime) => boolean;

type Test = (order: number) => boolean;
const OPERATORS: Readonly<Record<string, Test>> = {
  '<': (order) => order < 0,
  '<=': (order) => order <= 0,
  '>': (order) => order > 0,
  '>=': (order) => order >= 0,
  '=': (order) => order === 0,
};

/**
 * Compiles a condition such as `containerd`, `containerd < 2.2` or `cri-o >= 1.30 < 1.33`. Only as many numbers of a version are compared
 * as the condition contains: `2.1.4-rc` matches `= 2.1`.
 * @throws INVALID_ARGUMENT that names `key`.
 */
export function runtimeMatch(text: string, key: string): RuntimeMatch {
  const [, name = '', rest = ''] =
    /^\s*([A-Za-z][\w.-]*)((?:\s*(?:[<>]=?|=)\s*\d+(?:\.\d+)*)*)\s*$/.exec(text) ?? [];
  if (name === '')
    throw invalidArgument(
      key,
      `"${text}" is not a runtime's name with optional versions, such as containerd < 2.2`,
    );
  const tests = [...rest.matchAll(/([<>]=?|=)\s*([\d.]+)/g)].map(([, operator = '', version = '']) => ({
    test: OPERATORS[operator] ?? (() => false),
    version: numbersOf(version),
  }));
  return (runtime) =>
    runtime.name.toLowerCase() === name.toLowerCase() &&
    tests.every(({ test, version }) => test(compared(numbersOf(runtime.version), version)));
}

function numbersOf(version: string): readonly number[] {
  const [numbers = ''] = /\d+(?:\.\d+)*/.exec(version) ?? [];
  return numbers.split('.').map(Number);
}

function compared(version: readonly number[], limit: readonly number[]): number {
  for (const [at, number] of limit.entries()) {
    const order = (version[at] ?? 0) - number;
    if (order !== 0) return order;
  }
  return 0;
}
