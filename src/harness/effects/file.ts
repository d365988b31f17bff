import { invalidArgument, messageOf } from '../../lib/errors';
import type { EffectValue, SeenRuntime } from './effect';

const VERSION = 1;

/** Returns what was seen of a runtime as JSON, for a comparison on another machine. Later versions of dockbridge can read it. */
export function writeSeen({ source, runtime, containers }: SeenRuntime): string {
  const listed = containers.map(({ container, effects }) => ({
    container,
    effects: Object.fromEntries(effects),
  }));
  return `${JSON.stringify({ effects: VERSION, source, runtime, containers: listed }, null, 1)}\n`;
}

/**
 * Parses JSON of `writeSeen`.
 * @param name of the file, for errors.
 * @throws INVALID_ARGUMENT if the text is not such a file, is of a later version, or has no containers or no effects.
 */
export function readSeen(text: string, name: string): SeenRuntime {
  const file = objectOf(parsed(text, name));
  const version = file?.effects;
  if (typeof version === 'number' && version > VERSION)
    throw invalidArgument(
      name,
      `has version ${version}, which this version of dockbridge cannot read: use a newer dockbridge`,
    );
  const runtime = objectOf(file?.runtime);
  const [source, runtimeName, runtimeVersion] = [file?.source, runtime?.name, runtime?.version];
  const containers = Array.isArray(file?.containers) ? file.containers.map(containerOf) : [undefined];
  if (
    version !== VERSION ||
    typeof source !== 'string' ||
    typeof runtimeName !== 'string' ||
    typeof runtimeVersion !== 'string' ||
    !containers.every((container) => container !== undefined)
  )
    throw invalidArgument(name, 'is not a file of dockbridge cri effects');
  if (containers.length === 0 || containers.some(({ effects }) => effects.size === 0))
    throw invalidArgument(
      name,
      'has no containers, or a container without effects, so there is nothing to compare',
    );
  return { source, runtime: { name: runtimeName, version: runtimeVersion }, containers };
}

function parsed(text: string, name: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw invalidArgument(name, `is not JSON: ${messageOf(error)}`);
  }
}

function containerOf(value: unknown): SeenRuntime['containers'][number] | undefined {
  const { container, effects } = objectOf(value) ?? {};
  const values = objectOf(effects);
  if (typeof container !== 'string' || values === undefined) return undefined;
  const entries = Object.entries(values);
  return entries.every(isEffect) ? { container, effects: new Map(entries) } : undefined;
}

function isEffect(entry: [string, unknown]): entry is [string, EffectValue] {
  const [, value] = entry;
  return typeof value === 'string' || (Array.isArray(value) && value.every((one) => typeof one === 'string'));
}

function objectOf(value: unknown): Readonly<Record<string, unknown>> | undefined {
  return typeof value === 'object' && value !== null
    ? (value as Readonly<Record<string, unknown>>)
    : undefined;
}
