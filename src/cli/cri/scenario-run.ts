import { readFile } from 'node:fs/promises';
import { observationOf } from '../../harness/compare/observe';
import { runScenario } from '../../harness/drive/run-scenario';
import { readScenario, type Scenario } from '../../harness/drive/scenario';
import { SMOKE } from '../../harness/drive/smoke';
import type { Observation } from '../../harness/observation';
import { failedPrecondition, invalidArgument, messageOf } from '../../lib/errors';
import { parseEndpoint } from '../../server/listener/socket-listener';

/** One of the two sides that `diff` compares. */
export interface Side {
  readonly observation: Observation;
  /** What is wrong with the tape, one sentence each. */
  readonly problems: readonly string[];
  /** Which expectations of the scenario the endpoint did not meet. */
  readonly unmet: readonly string[];
}

export interface SideOptions {
  readonly scenario: string | undefined;
  readonly images: ReadonlyMap<string, string>;
  readonly scratch: string | undefined;
  readonly signal: AbortSignal;
}

export function isEndpoint(side: string): boolean {
  return side.startsWith('unix://');
}

/**
 * Returns both sides: reads two tapes, or runs a scenario on two endpoints, one after the other.
 * @throws an error that names what is wrong, or what was left behind on an endpoint.
 */
export async function bothSides(a: string, b: string, options: SideOptions): Promise<readonly [Side, Side]> {
  const endpoints = [a, b].filter(isEndpoint);
  if (endpoints.length === 1)
    throw invalidArgument(
      'diff',
      'one side is a tape and the other is an endpoint: to compare these, use dockbridge cri replay TAPE --to URL',
    );
  const { scenario } = options;
  if (endpoints.length === 0) {
    if (scenario !== undefined)
      throw invalidArgument('--scenario', 'can only be used with endpoints, and both sides are tapes');
    return [await tapeSide(a), await tapeSide(b)];
  }
  if (scenario === undefined)
    throw invalidArgument(
      '--scenario',
      'is missing: give the steps to run on the endpoints, either smoke or a file',
    );
  for (const endpoint of endpoints) parseEndpoint(endpoint, {}, process.pid);
  const read = await scenarioOf(scenario);
  return [await endpointSide(a, read, options), await endpointSide(b, read, options)];
}

async function tapeSide(file: string): Promise<Side> {
  return { ...(await observationOf(file)), unmet: [] };
}

async function endpointSide(
  address: string,
  scenario: Scenario,
  { images, scratch, signal }: SideOptions,
): Promise<Side> {
  const { observation, unmet, left } = await runScenario(address, scenario, { images, scratch, signal });
  if (left.length > 0) throw failedPrecondition(`left behind on ${address}: ${left.join('; ')}`);
  return { observation, problems: [], unmet };
}

/** @throws an error that names the file, and the key in it. */
async function scenarioOf(name: string): Promise<Scenario> {
  if (name === 'smoke') return readScenario(SMOKE);
  try {
    return readScenario(await readFile(name, 'utf8'));
  } catch (error) {
    throw invalidArgument(name, messageOf(error));
  }
}

/** Returns the local name for each recorded image name of `--image RECORDED=LOCAL`. */
export function imagesOf(given: readonly string[]): ReadonlyMap<string, string> {
  return new Map(
    given.map((pair): [string, string] => {
      const [recorded = '', local = '', ...rest] = pair.split('=');
      if (recorded === '' || local === '' || rest.length > 0)
        throw invalidArgument('--image', `"${pair}" is not NAME=LOCAL`);
      return [recorded, local];
    }),
  );
}
