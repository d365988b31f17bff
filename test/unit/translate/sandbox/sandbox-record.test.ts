import { NamespaceMode } from '../../../../src/proto/enums';
import {
  engineIps,
  ownSandboxExtra,
  SANDBOX_EXTRA_EXAMPLE,
  sandboxFromInspect,
} from '../../../../src/translate/sandbox/sandbox-record';
import { recordedInspect } from '../../support/inspects';

const { POD, CONTAINER, NODE } = NamespaceMode;
const UID = '6e0f3f5c-2a3b-4c4d-8e5f-607182930a1b';
const LABELS = {
  app: 'web',
  'io.kubernetes.pod.name': 'web-0',
  'io.kubernetes.pod.namespace': 'shop',
  'io.kubernetes.pod.uid': UID,
};

function read(name: string, ready = true) {
  const inspect = recordedInspect(name);
  return sandboxFromInspect(inspect, { ready, ips: engineIps(inspect) });
}

describe('sandboxFromInspect', () => {
  it('reads our own running sandbox', () => {
    const { createdAt, ...record } = read('sandbox-running')!;
    expect(createdAt.toString()).toBe('1700000000123456789');
    expect(record).toEqual({
      kind: 'sandbox',
      id: '5f1c7e0b6d0e4a0b9a1f6f6c1d2e3f405162738495a6b7c8d9e0f1a2b3c4d5e6',
      engineName: `k8s_POD_web-0_shop_${UID}_2`,
      metadata: { name: 'web-0', namespace: 'shop', uid: UID, attempt: 2 },
      labels: LABELS,
      annotations: { 'kubernetes.io/config.seen': '2023-11-14T22:13:19Z' },
      state: 'running',
      pid: 31415,
      runtimeHandler: '',
      runtime: 'runc',
      networkMode: 'bridge',
      networkReady: true,
      stopping: false,
      namespaces: { network: POD, pid: CONTAINER, ipc: POD, targetId: '' },
      hostname: 'web-0',
      logDirectory: `/var/log/pods/shop_web-0_${UID}`,
      cgroupParent: '/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod6e0f3f5c.slice',
      privileged: false,
      ips: ['172.17.0.5'],
      imageId: recordedInspect('sandbox-running').Image,
    });
  });

  it('reads a cri-dockerd sandbox on the host network without our label', () => {
    expect(read('sandbox-cri-dockerd', false)).toMatchObject({
      metadata: { name: 'web-0', namespace: 'shop', uid: UID, attempt: 2 },
      labels: LABELS,
      annotations: { 'kubernetes.io/config.seen': '2023-11-14T22:13:19Z' },
      namespaces: { network: NODE, pid: NODE, ipc: NODE, targetId: '' },
      // On the host network nothing needs to be set up.
      networkReady: true,
      cgroupParent: 'kubepods-besteffort.slice',
      logDirectory: '',
      ips: [],
    });
  });

  it.each([
    { name: 'sandbox-running', ips: ['172.17.0.5'] },
    { name: 'sandbox-dual-stack', ips: ['172.17.0.5', 'fd00:db8::5'] },
    { name: 'sandbox-ipv6-only', ips: ['fd00:db8::5'] },
    { name: 'sandbox-exited', ips: [] },
  ])('reads the addresses of $name: $ips', ({ name, ips }) => expect(read(name)?.ips).toEqual(ips));

  it('reads an exited sandbox', () =>
    expect(read('sandbox-exited')).toMatchObject({ state: 'exited', pid: 0 }));

  it('reports a sandbox without a complete network as not ready', () => {
    expect(read('sandbox-running', false)?.networkReady).toBe(false);
  });

  it.each([
    { desc: 'truncated', text: '{"v":1,"meta' },
    { desc: 'of another shape', text: '{"v":1}' },
    {
      desc: "a container's",
      text: '{"v":1,"metadata":{"name":"a","attempt":1},"labelKeys":[],"annotationKeys":[],"shadowed":{}}',
    },
  ])('ignores a label of ours that is $desc', ({ text }) => {
    const inspect = recordedInspect('sandbox-running');
    inspect.Config.Labels!['io.dockbridge.cri'] = text;
    expect(sandboxFromInspect(inspect, { ready: true, ips: [] })).toMatchObject({
      metadata: { name: 'web-0', namespace: 'shop', uid: UID, attempt: 2 },
      labels: LABELS,
      logDirectory: '',
    });
  });

  it.each([
    ...['metadata', 'runtimeHandler', 'namespaces', 'logDirectory', 'cgroupParent', 'privileged'],
    ...['labelKeys', 'annotationKeys', 'shadowed'],
  ])('ignores a label of ours without %s', (field) => {
    const inspect = recordedInspect('sandbox-running');
    const labels = inspect.Config.Labels!;
    const extra = JSON.parse(labels['io.dockbridge.cri'] ?? '') as Record<string, unknown>;
    const { [field]: _, ...rest } = extra;
    expect(extra).toHaveProperty(field);
    labels['io.dockbridge.cri'] = JSON.stringify(rest);
    expect(ownSandboxExtra(inspect, SANDBOX_EXTRA_EXAMPLE)).toBeUndefined();
  });

  it.each(['name', 'namespace', 'uid', 'attempt'])(
    'ignores a label of ours whose metadata lack the %s',
    (field) => {
      const inspect = recordedInspect('sandbox-running');
      const labels = inspect.Config.Labels!;
      const extra = JSON.parse(labels['io.dockbridge.cri'] ?? '') as { metadata: Record<string, unknown> };
      expect(ownSandboxExtra(inspect, SANDBOX_EXTRA_EXAMPLE)).toEqual(extra);
      const { [field]: _, ...metadata } = extra.metadata;
      // The sandbox is renamed, because otherwise its name would differ from the metadata that are left.
      labels['io.dockbridge.cri'] = JSON.stringify({ ...extra, metadata });
      expect(ownSandboxExtra({ ...inspect, Name: '/mine' }, SANDBOX_EXTRA_EXAMPLE)).toBeUndefined();
    },
  );

  it('ignores a label of ours if its pod differs from the pod in the name', () => {
    const inspect = recordedInspect('sandbox-running');
    const labels = inspect.Config.Labels!;
    const text = labels['io.dockbridge.cri'] ?? '';
    labels['io.dockbridge.cri'] = text
      .replaceAll(UID, 'other')
      .replace('"privileged":false', '"privileged":true');
    expect(sandboxFromInspect(inspect, { ready: true, ips: [] })).toMatchObject({
      metadata: { uid: UID },
      privileged: false,
    });
  });

  it('ignores a container of `docker run` whose image has all labels of a sandbox', () => {
    const inspect = recordedInspect('sandbox-running');
    const HostConfig = { ...inspect.HostConfig, CpuShares: 0, LogConfig: { Type: 'json-file', Config: {} } };
    const run = { ...inspect, Name: '/quirky_noether', HostConfig };
    expect(sandboxFromInspect(run, { ready: true, ips: [] })).toBeUndefined();
  });

  it('ignores a label of ours for another attempt', () => {
    const inspect = recordedInspect('sandbox-running');
    const labels = inspect.Config.Labels!;
    labels['io.dockbridge.cri'] = (labels['io.dockbridge.cri'] ?? '').replace(
      '"privileged":false',
      '"privileged":true',
    );
    const later = { ...inspect, Name: `${inspect.Name}0` };
    expect(sandboxFromInspect(later, { ready: true, ips: [] })).toMatchObject({
      metadata: { attempt: 20 },
      privileged: false,
    });
    const unique = { ...inspect, Name: `${inspect.Name}_0a1b2c3d` };
    expect(sandboxFromInspect(unique, { ready: true, ips: [] })?.privileged).toBe(true);
  });

  it('ignores a foreign container with neither label nor name', () => {
    const inspect = { ...recordedInspect('sandbox-cri-dockerd'), Name: '/mine' };
    expect(sandboxFromInspect(inspect, { ready: true, ips: [] })).toBeUndefined();
  });

  it('recognizes a renamed sandbox of ours', () => {
    const inspect = { ...recordedInspect('sandbox-running'), Name: '/mine' };
    expect(sandboxFromInspect(inspect, { ready: true, ips: [] })?.metadata.name).toBe('web-0');
  });
});
