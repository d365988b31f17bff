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
  it("keeps the Engine's defaults without a context", () => {
    expect(translate(null)).toEqual({ SecurityOpt: ['seccomp=x', 'no-new-privileges=false'] });
  });

  it('sends empty lists of paths, which unmask everything', () => {
    expect(translate({})).toMatchObject({ MaskedPaths: [], ReadonlyPaths: [], Privileged: false });
  });

  it("uses the Engine's own privileged mode if the node has every capability", () => {
    const host = translate({ privileged: true });
    expect(host).toMatchObject({
      Privileged: true,
      SecurityOpt: ['seccomp=x', 'no-new-privileges=false', 'label=disable'],
    });
    expect(host).not.toHaveProperty('CapAdd');
    // The Engine unmasks by itself, and refuses a list of paths.
    expect(host).not.toHaveProperty('MaskedPaths');
  });

  it('assembles a privileged container from single options if the node lacks a capability', () => {
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
    {
      desc: 'privileged on a node with every capability',
      context: { privileged: true },
      node: undefined,
      needed: false,
    },
    { desc: 'privileged on a node that lacks some', context: { privileged: true }, node: LESS, needed: true },
  ])('adds host devices for "$desc": $needed', ({ context, node, needed }) => {
    const given = context && decoded('LinuxContainerSecurityContext', context);
    expect(needsHostDevices(given, node)).toBe(needed);
  });
});

const LAST = 40;
const EVERYTHING = (1n << 41n) - 1n;
const SYS_RESOURCE = 1n << 24n;

describe('nodeCapabilities', () => {
  it('is undefined if the node has every capability of its kernel', () => {
    expect(nodeCapabilities(EVERYTHING, LAST)).toBeUndefined();
    // An older kernel knows fewer capabilities, and a newer one more than dockbridge.
    expect(nodeCapabilities((1n << 38n) - 1n, 37)).toBeUndefined();
    expect(nodeCapabilities((1n << 44n) - 1n, 43)).toBeUndefined();
  });

  it('lists the present capabilities if some are missing', () => {
    const names = nodeCapabilities(EVERYTHING & ~SYS_RESOURCE, LAST);
    expect(names).toHaveLength(40);
    expect(names).not.toContain('SYS_RESOURCE');
    expect(names?.slice(0, 2)).toEqual(['CHOWN', 'DAC_OVERRIDE']);
    expect(names?.at(-1)).toBe('CHECKPOINT_RESTORE');
  });
});

describe('knownToEngine', () => {
  const node = nodeCapabilities(EVERYTHING & ~SYS_RESOURCE, LAST);

  it('omits capabilities that old Engines do not know', () => {
    expect(knownToEngine(node, '1.41')?.at(-1)).toBe('AUDIT_READ');
    expect(knownToEngine(node, '1.42')).toEqual(node);
    expect(knownToEngine(node, '1.51')).toEqual(node);
  });

  it('returns undefined, which means every capability, unchanged', () =>
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
      desc: 'names, in any spelling',
      given: { add_capabilities: ['NET_ADMIN', 'CAP_BPF', 'sys_time'], drop_capabilities: ['cap_chown'] },
      add: ['NET_ADMIN', 'BPF', 'SYS_TIME'],
      drop: ['CHOWN'],
    },
    {
      desc: 'ALL on a node with every capability',
      given: { add_capabilities: ['all'], drop_capabilities: ['KILL'] },
      add: ['ALL'],
      drop: ['KILL'],
    },
    {
      desc: 'ALL on a node that lacks some, as the names of those that it has',
      given: { add_capabilities: ['ALL'] },
      node: LESS,
      add: LESS,
      drop: [],
    },
    {
      desc: 'ALL except some',
      given: { add_capabilities: ['ALL'], drop_capabilities: ['KILL'] },
      node: LESS,
      add: ['CHOWN', 'NET_RAW'],
      drop: ['KILL'],
    },
    {
      desc: 'a name to drop that the node lacks',
      given: { drop_capabilities: ['ALL', 'SYS_ADMIN'] },
      node: LESS,
      add: [],
      drop: ['ALL', 'SYS_ADMIN'],
    },
  ])('translates $desc', ({ given, node, add, drop }) =>
    expect(translate(given, node)).toEqual({ CapAdd: add, CapDrop: drop }),
  );

  it.each<{ desc: string; given: Given; error: string }>([
    {
      desc: 'a capability that the node lacks',
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
      desc: 'ambient capabilities',
      given: { add_ambient_capabilities: ['KILL'] },
      error: 'UNIMPLEMENTED c.add_ambient_capabilities',
    },
  ])('refuses $desc', ({ given, error }) => expect(codeAndField(() => translate(given, LESS))).toBe(error));
});
