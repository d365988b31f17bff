import { cri } from '../../../src/proto';
import * as enums from '../../../src/proto/enums';

/** The generated object inherits its number → name half. The name → number half is its own. */
const generated = {
  PodSandboxState: cri.PodSandboxState,
  ContainerState: cri.ContainerState,
  NamespaceMode: cri.NamespaceMode,
  MountPropagation: cri.MountPropagation,
  Protocol: cri.Protocol,
  SecurityProfileType: cri.SecurityProfile.ProfileType,
  SupplementalGroupsPolicy: cri.SupplementalGroupsPolicy,
  CgroupDriver: cri.CgroupDriver,
  ContainerEventType: cri.ContainerEventType,
  MetricType: cri.MetricType,
  Signal: cri.Signal,
};

describe('enums', () => {
  it('are all eleven enums of the proto', () => {
    expect(Object.keys(enums).sort()).toEqual(Object.keys(generated).sort());
  });

  it.each(Object.entries(generated))('%s equals the generated one', (name, values) => {
    const ours: Record<string, Record<string, number>> = enums;
    expect(ours[name]).toEqual(Object.fromEntries(Object.entries(values)));
  });

  it('are assignable to and from the generated types', () => {
    const ours: enums.ContainerState = cri.ContainerState.CONTAINER_EXITED;
    const theirs: cri.ContainerState = enums.ContainerState.CONTAINER_EXITED;
    const stored: cri.IContainer = { state: ours };
    expect(stored.state).toBe(theirs);
  });
});
