import { text, type Page } from './endpoint';

export interface HealthCheck {
  readonly name: string;
  /** Undefined when all is well. */
  readonly problem: string | undefined;
}

/** 200 when every check is well, else 503; a line for each, as Kubernetes' own components write them. */
export function healthPage(checks: readonly HealthCheck[]): Page {
  const isWell = checks.every(({ problem }) => problem === undefined);
  const lines = checks.map(({ name, problem }) =>
    problem === undefined ? `[+]${name} ok` : `[-]${name} failed: ${problem.replaceAll('\n', ' ')}`,
  );
  return text(isWell ? 200 : 503, `${[...lines, isWell ? 'healthz passed' : 'healthz failed'].join('\n')}\n`);
}
