import {
  knownToEngine,
  needsHostDevices,
  nodeCapabilities,
  toEngineCapabilities,
  toEngineSecurity,
} from '../../../../src/translate/container/container-security';
import { codeAndField } from '../../support/errors';
import { decoded } from '../../support/wire';

type Given = Parameters<typeof decoded<'LinuxContainerSecurityContext'>>[1];
const LESS = ['CHOWN', 'KILL'];

function translate(given: Given | null, capabilities?: readonly string[], apparmor = false) {
  const context = given === null ? null : decoded('LinuxContainerSecurityContext', given);
  return toEngineSecurity(context, 'c', { apparmor, capabilities, hostDevices: ['/dev/kvm'] }, ['seccomp=x']);
}

describe('toEngineSecurity', () => {
  it("leaves the Engine's defaults alone without a context", () => {
    expect(translate(null)).toEqual({ SecurityOpt: ['seccomp=x', 'no-new-privileges=false'] });
  });

  it('sends empty lists of paths: they unmask', () => {
    expect(translate({})).toMatchObject({ MaskedPaths: [], ReadonlyPaths: [], Privileged: false });
  });

  it("is the Engine's own privileged where the node has everything", () => {
    const host = translate({ privileged: true });
    expect(host).toMatchObject({
      Privileged: true,
      SecurityOpt: ['seccomp=x', 'no-new-privileges=false', 'label=disable'],
    });
    expect(host).not.toHaveProperty('CapAdd');
    // The Engine unmasks by itself, and refuses to be told which paths.
    expect(host).not.toHaveProperty('MaskedPaths');
  });

  it('is put together where the node has not', () => {
    expect(translate({ privileged: true }, LESS, true)).toMatchObject({
      Privileged: false,
      CapAdd: LESS,
      CapDrop: [],
      MaskedPaths: [],
      ReadonlyPaths: [],
      Devices: [{ PathOnHost: '/dev/kvm', PathInContainer: '/dev/kvm', CgroupPermissions: 'rwm' }],
      DeviceCgroupRules: ['a *:* rwm'],
      SecurityOpt: ['seccomp=x', 'no-new-privileges=false', 'apparmor=unconfined', 'label=disable'],
    });
  });

  it('keeps a profile and a label that a privileged container names', () => {
    const given = {
      privileged: true,
      apparmor_profile: 'localhost/mine',
      selinux_options: { type: 'spc_t' },
    };
    expect(translate(given, undefined, true).SecurityOpt).toEqual([
      'seccomp=x',
      'no-new-privileges=false',
      'label=type:spc_t',
      'apparmor=mine',
    ]);
  });

  it.each([
    { desc: 'no context', context: null, node: LESS, needed: false },
    { desc: 'not privileged', context: {}, node: LESS, needed: false },
    { desc: 'privileged on a whole node', context: { privileged: true }, node: undefined, needed: false },
    { desc: 'privileged on a lesser node', context: { privileged: true }, node: LESS, needed: true },
  ])('host devices: $desc', ({ context, node, needed }) => {
    const given = context && decoded('LinuxContainerSecurityContext', context);
    expect(needsHostDevices(given, node)).toBe(needed);
  });
});

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
