import { containerFilter, matchesLabels, sandboxFilter } from '../../../../src/translate/shared/filters';
import { codeAndField } from '../../support/errors';
import { containerRecord, runningContainer, sandboxRecord } from '../../support/records';
import { decoded, unknownEnum } from '../../support/wire';

const LABELS = { app: 'web', tier: 'front' };

describe('matchesLabels', () => {
  it.each<{ desc: string; selector: Readonly<Record<string, string>>; matches: boolean }>([
    { desc: 'no labels in the filter', selector: {}, matches: true },
    { desc: 'one of two labels', selector: { app: 'web' }, matches: true },
    { desc: 'both labels', selector: LABELS, matches: true },
    { desc: 'another value', selector: { app: 'db' }, matches: false },
    { desc: 'one matching and one different', selector: { app: 'web', tier: 'back' }, matches: false },
    { desc: 'a missing label', selector: { zone: '' }, matches: false },
    { desc: 'only a prefix of the value', selector: { app: 'we' }, matches: false },
    { desc: 'a name of Object.prototype', selector: { constructor: '' }, matches: false },
  ])('is $matches for $desc', ({ selector, matches }) =>
    expect(matchesLabels(LABELS, selector)).toBe(matches),
  );
});

describe('sandboxFilter', () => {
  const ready = sandboxRecord({ id: 'abc1', labels: LABELS });
  const stopped = sandboxRecord({ id: 'abd2', state: 'exited' });
  const both = ['abc1', 'abd2'];

  it.each<{
    desc: string;
    filter: Parameters<typeof decoded<'PodSandboxFilter'>>[1] | null;
    found: string[];
  }>([
    { desc: 'no filter', filter: null, found: both },
    { desc: 'an empty filter', filter: {}, found: both },
    { desc: 'an id', filter: { id: 'abc1' }, found: ['abc1'] },
    { desc: 'a prefix', filter: { id: 'ab' }, found: both },
    { desc: 'an unknown id', filter: { id: 'x' }, found: [] },
    { desc: 'READY, which is 0', filter: { state: {} }, found: ['abc1'] },
    { desc: 'NOTREADY', filter: { state: { state: 1 } }, found: ['abd2'] },
    { desc: 'labels', filter: { label_selector: { app: 'web' } }, found: ['abc1'] },
    {
      desc: 'all fields together',
      filter: { id: 'ab', state: { state: 0 }, label_selector: LABELS },
      found: ['abc1'],
    },
    {
      desc: 'all fields together, one of them different',
      filter: { id: 'ab', state: { state: 1 }, label_selector: LABELS },
      found: [],
    },
  ])('accepts $found for $desc', ({ filter, found }) => {
    const accept = sandboxFilter(filter && decoded('PodSandboxFilter', filter));
    expect([ready, stopped].filter(accept).map(({ id }) => id)).toEqual(found);
  });

  it('refuses an unknown state', () => {
    const filter = decoded('PodSandboxFilter', { state: { state: unknownEnum(2) } });
    expect(codeAndField(() => sandboxFilter(filter))).toBe('INVALID_ARGUMENT filter.state.state');
  });
});

describe('containerFilter', () => {
  const containers = [
    containerRecord({ id: 'aa1', sandboxId: 's1', labels: LABELS }),
    runningContainer({ id: 'aa2', sandboxId: 's1' }),
    runningContainer({ id: 'ab3', sandboxId: 's2', state: 'exited' }),
    containerRecord({ id: 'ab4', sandboxId: 's2', error: 'cannot run' }),
    runningContainer({ id: 'ab5', sandboxId: 's2', state: 'removing' }),
  ];
  const listed = ['aa1', 'aa2', 'ab3', 'ab4'];

  it.each<{ desc: string; filter: Parameters<typeof decoded<'ContainerFilter'>>[1] | null; found: string[] }>(
    [
      { desc: 'no filter, which means all states except removal in progress', filter: null, found: listed },
      { desc: 'an empty filter', filter: {}, found: listed },
      { desc: 'an id prefix', filter: { id: 'aa' }, found: ['aa1', 'aa2'] },
      { desc: 'a sandbox', filter: { pod_sandbox_id: 's2' }, found: ['ab3', 'ab4'] },
      { desc: 'CREATED, which is 0', filter: { state: {} }, found: ['aa1'] },
      { desc: 'RUNNING', filter: { state: { state: 1 } }, found: ['aa2'] },
      { desc: 'EXITED, including a failed start', filter: { state: { state: 2 } }, found: ['ab3', 'ab4'] },
      { desc: 'UNKNOWN', filter: { state: { state: 3 } }, found: [] },
      { desc: 'labels', filter: { label_selector: { tier: 'front' } }, found: ['aa1'] },
      {
        desc: 'all fields together',
        filter: { id: 'a', pod_sandbox_id: 's1', state: { state: 1 } },
        found: ['aa2'],
      },
    ],
  )('accepts $found for $desc', ({ filter, found }) => {
    const accept = containerFilter(filter && decoded('ContainerFilter', filter));
    expect(containers.filter(accept).map(({ id }) => id)).toEqual(found);
  });

  it('refuses an unknown state', () => {
    const filter = decoded('ContainerFilter', { state: { state: unknownEnum(4) } });
    expect(codeAndField(() => containerFilter(filter))).toBe('INVALID_ARGUMENT filter.state.state');
  });
});
