import { changesOf } from '../../../../src/migrate/apply/changed';
import type { StepState } from '../../../../src/migrate/apply/journal';
import type { PlanFileJson } from '../../../../src/migrate/plan/plan-json';
import { step } from '../../../../src/migrate/plan/step';

const steps = ['install', 'write-target', 'remove-pods', 'enable-metrics'].map((id) =>
  step(id, '', '', { commands: id === 'enable-metrics' ? [] : ['true'] }),
);
const file = (path: string, id: string, sha256Before: string | null): PlanFileJson => ({
  ...{ path, mode: '0644', owner: '0:0', step: id, source: `files${path}`, patch: null },
  ...{ sha256Before, sha256After: 'after' },
});
const plan = {
  steps,
  inventory: { '/etc/changed': 'before', '/etc/kept': 'kept', '/usr/lib/u': 'u', '/etc/cni/net.d/n': 'n' },
  files: [
    file('/etc/changed', 'write-target', 'before'),
    file('/etc/new', 'write-target', null),
    file('/etc/by-hand', 'enable-metrics', null),
  ],
};
const NODE = {
  '/etc/changed': 'before',
  '/etc/kept': 'kept',
  '/usr/lib/u': 'u',
  '/etc/cni/net.d/n': 'n',
};

/** Compares a node that differs from NODE. A file that is undefined is not there. */
function changes(node: Record<string, string | undefined>, states: Record<string, StepState> = {}): string[] {
  const present = new Map<string, string>();
  for (const [path, hash] of Object.entries<string | undefined>({ ...NODE, ...node }))
    if (hash !== undefined) present.set(path, hash);
  const progress = {
    stateOf: (id: string) => states[id] ?? 'open',
    wasBegun: (id: string) => id in states,
  };
  return changesOf(plan, progress, present).map(({ path, what }) => `${path} ${what}`);
}

describe('changesOf', () => {
  it('finds nothing on the node of the plan', () => {
    expect(changes({})).toEqual([]);
  });

  it('finds files that are changed, gone or new', () => {
    expect(changes({ '/etc/kept': 'x', '/usr/lib/u': undefined, '/etc/new': 'x', '/etc/more': 'x' })).toEqual(
      ['/etc/kept has changed', '/usr/lib/u is gone', '/etc/new is new', '/etc/more is new'],
    );
  });

  it("accepts the plan's own files, and finds what happened to them afterwards", () => {
    const done = { 'write-target': 'done' } as const;
    expect(changes({ '/etc/changed': 'after', '/etc/new': 'after' }, done)).toEqual([]);
    expect(changes({ '/etc/changed': 'before', '/etc/new': 'x' }, done)).toEqual([
      '/etc/changed has changed',
      '/etc/new has changed',
    ]);
    expect(changes({ '/etc/changed': 'after' }, done)).toEqual(['/etc/new is gone']);
  });

  it.each(['begun', 'undoing'] as const)('accepts a part of a file of a step that is %s', (state) => {
    expect(changes({ '/etc/changed': 'a part', '/etc/new': 'a part' }, { 'write-target': state })).toEqual(
      [],
    );
  });

  it('accepts what a package changes, from its installation on', () => {
    const node = { '/usr/lib/u': 'newer', '/etc/new': 'from the package' };
    expect(changes(node, { install: 'done' })).toEqual([]);
    expect(changes(node, { 'remove-pods': 'open' })).toEqual(['/usr/lib/u has changed', '/etc/new is new']);
  });

  it("accepts what the network's own pods write, from their removal on", () => {
    expect(changes({ '/etc/cni/net.d/n': undefined }, { 'remove-pods': 'begun' })).toEqual([]);
    expect(changes({ '/etc/cni/net.d/n': undefined })).toEqual(['/etc/cni/net.d/n is gone']);
  });

  it('leaves a file to the person who puts it in its place', () => {
    expect(changes({}, { 'enable-metrics': 'done' })).toEqual([]);
  });
});
