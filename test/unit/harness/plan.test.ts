import { Dice, type Asked } from '../../../src/harness/fault/dice';
import { readPlan, type Rule } from '../../../src/harness/fault/fault-plan';

const asked = (method: string, pod?: string, streams = false): Asked => ({ method, pod, streams });

it('a plan may contain every kind of fault', () => {
  const plan = readPlan(`
faults:
  - match: { method: RunPodSandbox, pod: "default/web-*", nth: 2 }
    delay: 1m30s
    because: a slow disk
  - match: { method: "*Status", every: 3 }
    error: UNAVAILABLE
  - error: { code: NOT_FOUND, text: no such pod }
  - hang: true
  - lose_answer: DEADLINE_EXCEEDED
  - drop_connection: true
  - { match: { method: GetContainerEvents }, cut: { after: 3 } }
  - duplicate: true
  - { match: { method: "List*", probability: 0.5 }, stale: 10s }
  - restart: 5s
`);
  expect(plan.map(({ fault }) => fault)).toEqual([
    { kind: 'delay', ms: 90_000 },
    { kind: 'error', failure: { code: 'UNAVAILABLE', text: 'dockbridge cri fault injected this error' } },
    { kind: 'error', failure: { code: 'NOT_FOUND', text: 'no such pod' } },
    { kind: 'hang' },
    expect.objectContaining({ kind: 'lose_answer' }),
    { kind: 'drop_connection' },
    { kind: 'cut', after: 3 },
    { kind: 'duplicate' },
    { kind: 'stale', ms: 10_000 },
    { kind: 'restart', ms: 5_000 },
  ]);
  expect(plan[0]?.match).toEqual({
    ...{ method: 'RunPodSandbox', pod: 'default/web-*', nth: 2 },
    ...{ every: undefined, probability: undefined },
  });
});

it.each([
  ['faults: []', 'faults: is not a list of faults'],
  ['', 'the plan: is not a map with faults'],
  ['fault: []', 'fault: is unknown: is faults meant?'],
  ['faults: [{}]', 'faults[0]: has no fault: give exactly one of delay'],
  ['faults: [{hang: true, delay: 1s}]', 'faults[0]: has delay and hang'],
  ['faults: [{hang: yes}]', 'faults[0].hang: "yes" is not true'],
  ['faults: [{hang: true}, {delay: 5}]', 'faults[1].delay: 5 is not a time such as 250ms, 30s or 5m'],
  ['faults: [{delay: 5x}]', 'faults[0].delay: "5x" is not a time'],
  ['faults: [{delay: 1000h}]', 'faults[0].delay: "1000h" is longer than'],
  ['faults: [{error: OK}]', 'faults[0].error: "OK" is not one of CANCELLED'],
  ['faults: [{error: {code: INTERNAL}}]', 'faults[0].error.text: nothing is not text'],
  ['faults: [{cut: {}}]', 'faults[0].cut.after: nothing is not an integer of at least 0'],
  [
    'faults: [{hang: true, match: {method: RunPodSandbx}}]',
    'faults[0].match.method: CRI has no method RunPodSandbx: is RunPodSandbox meant?',
  ],
  ['faults: [{hang: true, match: {nth: 0}}]', 'faults[0].match.nth: 0 is not an integer of at least 1'],
  ['faults: [{hang: true, match: {every: 1.5}}]', 'faults[0].match.every: 1.5 is not an integer'],
  [
    'faults: [{hang: true, match: {probability: 2}}]',
    'faults[0].match.probability: 2 is not a number from 0 to 1',
  ],
  ['faults: [{hang: true, match: {pod: 7}}]', 'faults[0].match.pod: 7 is not text'],
  ['faults: [{hang: true, match: {methd: Status}}]', 'faults[0].match.methd: is unknown: is method meant?'],
  ['faults: [{hang: true, macth: {}}]', 'faults[0].macth: is unknown: is match meant?'],
  ['faults: [', 'the plan: is not YAML'],
])('the error about an invalid plan names the key: %s', (text, why) => {
  expect(() => readPlan(text)).toThrow(why);
});

const rule = (match: Partial<Rule['match']>, kind: 'hang' | 'duplicate' = 'hang'): Rule => ({
  match: { method: '*', pod: undefined, nth: undefined, every: undefined, probability: undefined, ...match },
  fault: { kind },
});

it('nth and every count the matching calls', () => {
  const dice = new Dice([rule({ method: 'Start*', nth: 2 }), rule({ every: 3 }, 'duplicate')], 1);
  const drawn = ['Status', 'StartContainer', 'StartContainer', 'StartContainer', 'Status', 'Status'].map(
    (method) => dice.draw(asked(method))?.at,
  );
  // The third call matches both rules. The first rule wins, and the second has counted the call.
  expect(drawn).toEqual([undefined, undefined, 0, undefined, undefined, 1]);
});

it('a pod is given by its name, or by namespace and name', () => {
  const dice = new Dice([rule({ pod: 'web-?' }), rule({ pod: 'kube-system/*' }, 'duplicate')], 1);
  const drawn = ['default/web-1', 'default/web-10', 'kube-system/dns', undefined].map(
    (pod) => dice.draw(asked('Status', pod))?.at,
  );
  expect(drawn).toEqual([0, undefined, 1, undefined]);
});

it('the same seed gives the same faults, another seed gives others, at about the requested rate', () => {
  const draw = (seed: number): boolean[] => {
    const dice = new Dice([rule({ probability: 0.25 })], seed);
    return Array.from({ length: 2_000 }, () => dice.draw(asked('Status')) !== undefined);
  };
  expect(draw(7)).toEqual(draw(7));
  expect(draw(7)).not.toEqual(draw(8));
  for (const seed of [0, 1, 7, 2 ** 31 - 1]) {
    const hits = draw(seed).filter(Boolean).length;
    expect(hits).toBeGreaterThan(400);
    expect(hits).toBeLessThan(600);
  }
});

it('a new rule at the end of a plan does not change the effects of the others', () => {
  const draw = (rules: readonly Rule[]): boolean[] => {
    const dice = new Dice(rules, 7);
    return Array.from({ length: 200 }, () => dice.draw(asked('Status'))?.at === 0);
  };
  const chance = rule({ probability: 0.5 });
  expect(draw([chance])).toEqual(draw([chance, rule({ probability: 0.9 }, 'duplicate')]));
});

it('faults that need a whole answer are not injected into streams', () => {
  const stale: Rule = { ...rule({}), fault: { kind: 'stale', ms: 1 } };
  const dice = new Dice([stale], 1);
  expect(dice.draw(asked('GetContainerEvents', undefined, true))).toBeUndefined();
  expect(dice.draw(asked('ListContainers'))).toBeDefined();
});
