import type { FieldRow } from '../../proto/descriptors';
import type { Json, JsonObject } from '../../proto/fields';
import { objectOf } from '../json';
import type { NearMiss, RuleUse } from './comparison';
import { isSet } from './judge';
import { pathOf, type Place } from './path';
import { nameOf, type Rule } from './rule';
import { fitsKind, isForAny } from './rules';
import type { Runtime } from './runtime-match';

/** Finds the rule for a place, and counts how often each rule was applied and needed. */
export class RuleBook {
  readonly #uses = new Map<Rule, { met: number; needed: number }>();
  readonly #isActive: ReadonlyMap<Rule, boolean>;
  /** The rules that match a path if keys are ignored, by that path without keys. */
  readonly #candidates = new Map<string, readonly Rule[]>();

  constructor(
    private readonly rules: readonly Rule[],
    private readonly a: Runtime,
    private readonly b: Runtime,
  ) {
    this.#isActive = new Map(
      rules.map((rule) => {
        const { a: ofA, b: ofB, any } = rule.runtimes;
        return [rule, (ofA?.(a) ?? true) && (ofB?.(b) ?? true) && (any === undefined || any(a) || any(b))];
      }),
    );
  }

  /**
   * Returns the first rule that applies to two values.
   * @param row the descriptor of the field; undefined for a name of PSEUDO.
   * @param after if given, only the rules after this one are considered.
   */
  find(
    place: Place,
    row: FieldRow | undefined,
    a: Json | undefined,
    b: Json | undefined,
    after?: Rule,
  ): Rule | undefined {
    const candidates = this.#for(place, row);
    return candidates
      .slice(after === undefined ? 0 : candidates.indexOf(after) + 1)
      .find(
        (rule) =>
          this.#isActive.get(rule) === true &&
          rule.compiled.matches(place) &&
          this.#unmeant(rule, place, a, b) === undefined,
      );
  }

  /** Counts that a rule was applied. @param isNeeded whether the values differ and the rule allows this. */
  met(rule: Rule, isNeeded: boolean): void {
    const use = this.#use(rule);
    use.met++;
    if (isNeeded) use.needed++;
  }

  /** Returns the first rule for this place, and why it does not apply; undefined if there is none, or if it applies. */
  nearMiss(
    place: Place,
    row: FieldRow | undefined,
    a: Json | undefined,
    b: Json | undefined,
  ): NearMiss | undefined {
    const [rule] = this.#for(place, row);
    if (rule === undefined) return undefined;
    const name = `${nameOf(rule)} (${rule.path})`;
    if (this.#isActive.get(rule) !== true) {
      const sides = Object.entries(rule.only ?? {}).map(([side, of]) => `${side}: ${of}`);
      return { rule: name, why: `applies only to ${sides.join(', ')}` };
    }
    if (!rule.compiled.matches(place)) return { rule: name, why: 'applies to a different key' };
    const why = this.#unmeant(rule, place, a, b);
    return why === undefined ? undefined : { rule: name, why };
  }

  uses(): readonly RuleUse[] {
    return this.rules.map((rule) => ({
      ...{ rule, isActive: this.#isActive.get(rule) === true },
      ...this.#use(rule),
    }));
  }

  /** Returns why a rule does not apply to these values; undefined if it does. */
  #unmeant(rule: Rule, place: Place, a: Json | undefined, b: Json | undefined): string | undefined {
    const { as, values, own, asked, ended } = rule;
    const { request, isRunning } = place;
    if ((as === 'missing' || as === 'extra') && !this.#isDirected(rule, a, b))
      return as === 'missing'
        ? 'allows only certain runtimes to lack the value'
        : 'allows only certain runtimes to have an additional value';
    if (values !== undefined && ![a, b].every((value) => isAmong(values, value)))
      return `applies only to the values ${values.join(', ')}`;
    const sides = [
      { runtime: this.a, value: a },
      { runtime: this.b, value: b },
    ];
    const { any = () => true } = rule.runtimes;
    if (own !== undefined && !sides.some(({ runtime, value }) => any(runtime) && isAmong(own, value)))
      return `applies only to the values ${own.join(', ')} of ${rule.only?.any ?? ''}`;
    if (asked !== undefined && !isAsked(asked, request)) return `applies only to requests with ${asked}`;
    if (ended === true && isRunning === true) return 'applies only to containers that no longer run';
    return undefined;
  }

  /** Returns whether the side without a value (`missing`), or the only side with one (`extra`), is the runtime that the rule names. */
  #isDirected({ as, runtimes }: Rule, a: Json | undefined, b: Json | undefined): boolean {
    if (isSet(a) === isSet(b)) return false;
    const [having, lacking] = isSet(a) ? [this.a, this.b] : [this.b, this.a];
    return runtimes.any?.(as === 'missing' ? lacking : having) ?? true;
  }

  #use(rule: Rule): { met: number; needed: number } {
    const known = this.#uses.get(rule);
    if (known !== undefined) return known;
    const use = { met: 0, needed: 0 };
    this.#uses.set(rule, use);
    return use;
  }

  #for(place: Place, row: FieldRow | undefined): readonly Rule[] {
    const bare = { ...place, steps: place.steps.map(({ message, field }) => ({ message, field })) };
    const path = pathOf(bare);
    const known = this.#candidates.get(path);
    if (known !== undefined) return known;
    const found = this.rules.filter(
      ({ as, compiled }) =>
        compiled.matchesFields(place) && (row === undefined ? isForAny(as) : fitsKind(as, row)),
    );
    this.#candidates.set(path, found);
    return found;
  }
}

function isAmong(values: readonly Json[], value: Json | undefined): boolean {
  return values.some((meant) => meant === value);
}

function isAsked(path: string, request: JsonObject | undefined): boolean {
  let value: Json | undefined = request;
  for (const field of path.split('.')) value = objectOf(value)[field];
  return isSet(value);
}
