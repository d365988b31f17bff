import { needsHostDevices, toEngineSecurity } from '../../../../src/translate/container/container-security';
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
