import {
  containerEngineName,
  parseEngineName,
  sandboxEngineName,
  uniqueEngineName,
} from '../../../../src/translate/shared/names';

const pod = { name: 'web-0', namespace: 'shop', uid: 'b1946ac9-2f1d', attempt: 2 };

describe('container names in the Engine', () => {
  it("are cri-dockerd's", () => {
    expect(sandboxEngineName(pod)).toBe('k8s_POD_web-0_shop_b1946ac9-2f1d_2');
    // The attempt in the name is that of the container, not that of the pod.
    expect(containerEngineName({ name: 'app', attempt: 5 }, pod)).toBe('k8s_app_web-0_shop_b1946ac9-2f1d_5');
    expect(uniqueEngineName('k8s_app_w_s_u_0', '0a1b2c3d')).toBe('k8s_app_w_s_u_0_0a1b2c3d');
  });

  it('are parsed back into their parts', () => {
    const { attempt, ...identity } = pod;
    expect(parseEngineName(sandboxEngineName(pod))).toEqual({ first: 'POD', pod: identity, attempt });
    const unique = uniqueEngineName(containerEngineName({ name: 'app', attempt: 5 }, pod), '0a1b2c3d');
    expect(parseEngineName(unique)).toEqual({ first: 'app', pod: identity, attempt: 5 });
  });

  it.each([
    { desc: 'six fields', name: 'k8s_app_pod_ns_uid_1', attempt: 1 },
    { desc: 'seven fields', name: 'k8s_app_pod_ns_uid_1_deadbeef', attempt: 1 },
    { desc: 'a large attempt', name: 'k8s_app_pod_ns_uid_4294967295', attempt: 4294967295 },
    { desc: 'five fields', name: 'k8s_app_pod_ns_uid', attempt: undefined },
    { desc: 'eight fields', name: 'k8s_app_pod_ns_uid_1_a_b', attempt: undefined },
    { desc: 'another prefix', name: 'k3s_app_pod_ns_uid_1', attempt: undefined },
    { desc: 'an attempt that is not a number', name: 'k8s_app_pod_ns_uid_x', attempt: undefined },
    { desc: 'a negative attempt', name: 'k8s_app_pod_ns_uid_-1', attempt: undefined },
    { desc: 'an empty attempt', name: 'k8s_app_pod_ns_uid_', attempt: undefined },
    {
      desc: "an underscore in the pod's name, which only our label can resolve",
      name: 'k8s_app_a_b_ns_uid_1',
      attempt: undefined,
    },
    { desc: "a foreign container's name", name: 'quirky_hopper', attempt: undefined },
    { desc: 'nothing', name: '', attempt: undefined },
  ])('are parsed if they have a known form: $desc', ({ name, attempt }) =>
    expect(parseEngineName(name)?.attempt).toBe(attempt),
  );
});
