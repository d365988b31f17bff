import { RuntimeError } from '../../../../src/lib/errors';
import type { Informative } from '../../../../tools/docs/fields/coverage';
import { COVERAGE } from '../../../../tools/docs/fields/table';
import { readTable, type Row } from '../../proto/cri-table';
import { differentFields, outcome, outcomeInBarePod, type Root } from './outcome';
import { BESIDE, VALID, VALUES, type Message } from './samples';

/** A field of a request, with the path to it from the request's root. */
interface Place {
  readonly root: Root;
  readonly way: readonly Row[];
}

const FIELDS = readTable().filter(({ kind }) => kind === 'field');
const MESSAGES = new Set(FIELDS.map(({ parent }) => parent));

/**
 * Fields of a message with several uses, one of which refuses the field although the row describes the
 * others.
 */
const REFUSED_HERE = new Set([
  'RunPodSandboxRequest.config.linux.security_context.namespace_options.target_id',
]);

/** The Engine sets this field when a container starts, as the row of `linux` says. */
const ONLY_AT_THE_START = 'UpdateContainerResourcesRequest.linux.oom_score_adj';

function placesBelow(root: Root, message: string, way: readonly Row[]): Place[] {
  return FIELDS.filter(({ parent }) => parent === message).flatMap((field) => {
    const place = { root, way: [...way, field] };
    const coverage = COVERAGE[message]?.[field.name];
    const goesOn = MESSAGES.has(field.type) && coverage !== undefined && 'becomes' in coverage;
    return goesOn ? placesBelow(root, field.type, place.way) : [place];
  });
}

function keyOf({ way }: Place): string {
  const field = way.at(-1)!;
  return `${field.parent}.${field.name}`;
}

function nameOf({ root, way }: Place): string {
  return [root, ...way.map(({ name }) => name)].join('.');
}

function sample({ type, label }: Row): unknown {
  if (label === 'map') return { key: 'value' };
  const one = MESSAGES.has(type)
    ? { ...VALID[type] }
    : ({ string: 'sample', bool: true, bytes: Buffer.from('sample') }[type] ?? 1);
  return label === 'repeated' ? [one] : one;
}

/** Returns a valid request in which `place` is reachable. With `value`, the place contains that value. */
function requestFor(place: Place, value?: unknown): Message {
  const request: Message = { ...VALID[place.root] };
  let message = request;
  place.way.forEach((field, depth) => {
    const key = `${field.parent}.${field.name}`;
    if (!REFUSED_HERE.has(nameOf(place))) Object.assign(message, BESIDE[key]);
    if (depth === place.way.length - 1) {
      if (value !== undefined) message[field.name] = value;
      return;
    }
    const next: Message = { ...VALID[field.type] };
    message[field.name] = field.label === 'repeated' ? [next] : next;
    message = next;
  });
  return request;
}

describe('a field of a request', () => {
  const places = [
    ...placesBelow('RunPodSandboxRequest', 'RunPodSandboxRequest', []),
    ...placesBelow('CreateContainerRequest', 'CreateContainerRequest', []),
    ...placesBelow('UpdateContainerResourcesRequest', 'UpdateContainerResourcesRequest', []).filter(
      ({ way }) => way[0]?.name === 'linux',
    ),
  ];
  const kindOf = (place: Place): string => {
    if (REFUSED_HERE.has(nameOf(place))) return 'refused';
    if (nameOf(place) === ONLY_AT_THE_START) return 'informs';
    const [message = '', field = ''] = keyOf(place).split('.');
    return Object.keys(COVERAGE[message]?.[field] ?? {})[0] ?? 'missing';
  };
  const namesOf = (kind: string): [string, Place][] =>
    places.filter((place) => kindOf(place) === kind).map((place) => [nameOf(place), place]);

  const fieldsThatDiffer = (place: Place): readonly string[] => {
    const value = VALUES[keyOf(place)] ?? sample(place.way.at(-1)!);
    return differentFields(place.root, requestFor(place), requestFor(place, value));
  };
  /** Returns whether the field is part of a new object's contents, and not of its identity. */
  const isContent = ({ root, way }: Place): boolean =>
    root !== 'UpdateContainerResourcesRequest' &&
    !way.some(
      ({ parent, name }) => parent.endsWith('Metadata') || name === 'metadata' || name === 'pod_sandbox_id',
    );

  const outcomes = (place: Place): { without: string | RuntimeError; with: string | RuntimeError } => {
    const value = VALUES[keyOf(place)] ?? sample(place.way.at(-1)!);
    return {
      without: outcome(place.root, requestFor(place)),
      with: outcome(place.root, requestFor(place, value)),
    };
  };

  it('always has an outcome that the tests know', () => {
    expect(namesOf('missing')).toEqual([]);
    expect(places.length).toBeGreaterThan(110);
  });

  it.each(namesOf('becomes'))('has an effect: %s', (_name, place) => {
    const { without, with: changed } = outcomes(place);
    expect(typeof changed === 'string' ? 'accepted' : changed.message).toBe('accepted');
    expect(changed).not.toEqual(without);
    if (isContent(place)) {
      const itself = fieldsThatDiffer(place).filter((field) => nameOf(place).includes(`.${field}`));
      expect(itself).toHaveLength(1);
    }
  });

  it.each(namesOf('refused'))('is refused by name: %s', (_name, place) => {
    const { with: refusal } = outcomes(place);
    expect(refusal).toBeInstanceOf(RuntimeError);
    const { code, message } = refusal as RuntimeError;
    expect(['UNIMPLEMENTED', 'INVALID_ARGUMENT']).toContain(code);
    const [field = '', parent = ''] = place.way.map(({ name }) => name).reverse();
    expect(message).toMatch(new RegExp(`^config\\..*(${field}|${parent}(\\[\\d\\])?:)`));
  });

  it.each(namesOf('informs'))('is accepted, and changes nothing: %s', (_name, place) => {
    const { without, with: changed } = outcomes(place);
    expect(changed).toEqual(without);
    expect(typeof changed).toBe('string');
    expect(fieldsThatDiffer(place)).toEqual([]);
  });

  it('below sandbox_config has an effect on a container only if the row of sandbox_config names it', () => {
    const [row] = FIELDS.filter(
      ({ parent, name }) => parent === 'CreateContainerRequest' && name === 'sandbox_config',
    );
    const within = placesBelow('CreateContainerRequest', 'PodSandboxConfig', [row!]);
    const effective = within.filter((place) => {
      const value = VALUES[keyOf(place)] ?? sample(place.way.at(-1)!);
      return outcomeInBarePod(requestFor(place, value)) !== outcomeInBarePod(requestFor(place));
    });
    const coverage = COVERAGE.CreateContainerRequest?.sandbox_config as Informative;
    expect(effective.map(nameOf)).toEqual(
      Object.keys(coverage.but ?? {}).map((path) => `CreateContainerRequest.sandbox_config.${path}`),
    );
    expect(within.length).toBeGreaterThan(30);
  });
});
