import {
  knownToEngine,
  nodeCapabilities,
  toEngineCapabilities,
} from '../../../../src/translate/container/capabilities';
import { codeAndField } from '../../support/errors';
import { decoded } from '../../support/wire';

const LAST = 40;
const EVERYTHING = (1n << 41n) - 1n;
const SYS_RESOURCE = 1n << 24n;

describe('nodeCapabilities', () => {
  it('is undefined when the node has all that its kernel knows', () => {
    expect(nodeCapabilities(EVERYTHING, LAST)).toBeUndefined();
    // An older kernel knows fewer, a newer one more than we.
    expect(nodeCapabilities((1n << 38n) - 1n, 37)).toBeUndefined();
    expect(nodeCapabilities((1n << 44n) - 1n, 43)).toBeUndefined();
  });

  it('names what there is when something is missing', () => {
    const names = nodeCapabilities(EVERYTHING & ~SYS_RESOURCE, LAST);
    expect(names).toHaveLength(40);
    expect(names).not.toContain('SYS_RESOURCE');
    expect(names?.slice(0, 2)).toEqual(['CHOWN', 'DAC_OVERRIDE']);
    expect(names?.at(-1)).toBe('CHECKPOINT_RESTORE');
  });
});

describe('knownToEngine', () => {
  const node = nodeCapabilities(EVERYTHING & ~SYS_RESOURCE, LAST);

  it('leaves out what old Engines do not know', () => {
    expect(knownToEngine(node, '1.41')?.at(-1)).toBe('AUDIT_READ');
    expect(knownToEngine(node, '1.42')).toEqual(node);
    expect(knownToEngine(node, '1.51')).toEqual(node);
  });

  it('has nothing to leave out of everything', () =>
    expect(knownToEngine(undefined, '1.41')).toBeUndefined());
});

describe('toEngineCapabilities', () => {
  type Given = Parameters<typeof decoded<'Capability'>>[1];
  const translate = (given: Given, node?: readonly string[]) =>
    toEngineCapabilities(decoded('Capability', given), 'c', node);
  const LESS = ['CHOWN', 'KILL', 'NET_RAW'];

  it.each<{ desc: string; given: Given; node?: string[]; add: string[]; drop: string[] }>([
    { desc: 'nothing', given: {}, add: [], drop: [] },
    {
      desc: 'by name, in any spelling',
      given: { add_capabilities: ['NET_ADMIN', 'CAP_BPF', 'sys_time'], drop_capabilities: ['cap_chown'] },
      add: ['NET_ADMIN', 'BPF', 'SYS_TIME'],
      drop: ['CHOWN'],
    },
    {
      desc: 'ALL where the node has everything',
      given: { add_capabilities: ['all'], drop_capabilities: ['KILL'] },
      add: ['ALL'],
      drop: ['KILL'],
    },
    {
      desc: 'ALL where it has not: what it has',
      given: { add_capabilities: ['ALL'] },
      node: LESS,
      add: LESS,
      drop: [],
    },
    {
      desc: 'ALL but some',
      given: { add_capabilities: ['ALL'], drop_capabilities: ['KILL'] },
      node: LESS,
      add: ['CHOWN', 'NET_RAW'],
      drop: ['KILL'],
    },
    {
      desc: 'dropping what the node has not',
      given: { drop_capabilities: ['ALL', 'SYS_ADMIN'] },
      node: LESS,
      add: [],
      drop: ['ALL', 'SYS_ADMIN'],
    },
  ])('$desc', ({ given, node, add, drop }) =>
    expect(translate(given, node)).toEqual({ CapAdd: add, CapDrop: drop }),
  );

  it.each<{ desc: string; given: Given; error: string }>([
    {
      desc: 'what the node has not',
      given: { add_capabilities: ['KILL', 'SYS_ADMIN'] },
      error: 'FAILED_PRECONDITION c.add_capabilities[1]',
    },
    {
      desc: 'an unknown name to add',
      given: { add_capabilities: ['FLY'] },
      error: 'INVALID_ARGUMENT c.add_capabilities[0]',
    },
    {
      desc: 'an unknown name to drop',
      given: { drop_capabilities: ['ALL', ''] },
      error: 'INVALID_ARGUMENT c.drop_capabilities[1]',
    },
    {
      desc: 'ambient ones',
      given: { add_ambient_capabilities: ['KILL'] },
      error: 'UNIMPLEMENTED c.add_ambient_capabilities',
    },
  ])('refuses $desc', ({ given, error }) => expect(codeAndField(() => translate(given, LESS))).toBe(error));
});
