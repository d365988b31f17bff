import Long from 'long';
import { NamespaceMode } from '../../../src/proto/enums';
import type { ContainerSurroundings } from '../../../src/translate/container/container-create';
import type { EngineFeatures } from '../../../src/translate/shared/engine-facts';
import type { ContainerRecord, ImageRecord, SandboxRecord } from '../../../src/store/records';

/** Returns an id of 64 hex digits that begins with `start`. */
export function engineId(start: string): string {
  return start.padEnd(64, '0');
}

export const CREATED = Long.fromString('1700000000000000001');
export const STARTED = Long.fromString('1700000001000000002');
export const FINISHED = Long.fromString('1700000002000000003');

/** Returns the features of Engine 28.5, except those in `over`. */
export function engineFeatures(over: Partial<EngineFeatures> = {}): EngineFeatures {
  return { version: '28.5.2', recursiveReadOnly: true, imageMounts: true, cdi: true, ...over };
}

export const NO_FEATURES = engineFeatures({
  version: '20.10.24',
  recursiveReadOnly: false,
  imageMounts: false,
  cdi: false,
});

export function sandboxRecord(over: Partial<SandboxRecord> = {}): SandboxRecord {
  const id = over.id ?? engineId('a1');
  return {
    kind: 'sandbox',
    id,
    engineName: `k8s_POD_web_shop_${id.slice(0, 8)}_0`,
    metadata: { name: 'web', namespace: 'shop', uid: 'uid-1', attempt: 0 },
    labels: {},
    annotations: {},
    createdAt: CREATED,
    state: 'running',
    pid: 100,
    runtimeHandler: '',
    runtime: 'runc',
    networkMode: 'bridge',
    networkReady: true,
    stopping: false,
    namespaces: {
      network: NamespaceMode.POD,
      pid: NamespaceMode.CONTAINER,
      ipc: NamespaceMode.POD,
      targetId: '',
    },
    hostname: 'web',
    logDirectory: '/var/log/pods/shop_web_uid-1',
    cgroupParent: '/kubepods/poduid-1',
    privileged: false,
    ips: ['10.1.2.3'],
    imageId: `sha256:${engineId('9')}`,
    contents: undefined,
    ...over,
  };
}

export function containerRecord(over: Partial<ContainerRecord> = {}): ContainerRecord {
  const id = over.id ?? engineId('c1');
  return {
    kind: 'container',
    id,
    engineName: `k8s_app_web_shop_${id.slice(0, 8)}_0`,
    sandboxId: engineId('a1'),
    metadata: { name: 'app', attempt: 0 },
    labels: {},
    annotations: {},
    createdAt: CREATED,
    startedAt: Long.ZERO,
    finishedAt: Long.ZERO,
    state: 'created',
    pid: 0,
    exitCode: 0,
    oomKilled: false,
    error: '',
    image: 'busybox',
    userSpecifiedImage: 'busybox',
    imageAnnotations: {},
    imageId: `sha256:${engineId('1')}`,
    mounts: [],
    resources: {
      cpuPeriod: 0,
      cpuQuota: 0,
      cpuShares: 0,
      memoryLimit: 0,
      memorySwapLimit: 0,
      oomScoreAdj: 0,
      cpusetCpus: '',
      cpusetMems: '',
      pidsLimit: 0,
      hugepages: {},
      unified: {},
    },
    user: undefined,
    logPath: '',
    spoolPath: '',
    madeByOthers: false,
    contents: undefined,
    logDriver: 'json-file',
    tty: false,
    stdin: false,
    stdinOnce: false,
    stopSignal: '',
    ...over,
  };
}

export const runningContainer = (over: Partial<ContainerRecord> = {}): ContainerRecord =>
  containerRecord({ state: 'running', pid: 200, startedAt: STARTED, ...over });

export function imageRecord(over: Partial<ImageRecord> = {}): ImageRecord {
  return {
    id: `sha256:${engineId('1')}`,
    repoTags: ['busybox:latest'],
    repoDigests: [`busybox@sha256:${engineId('d')}`],
    size: 4_000_000,
    user: '',
    stopSignal: '',
    labels: {},
    spec: {},
    ...over,
  };
}

/** The node and Engine for the translation of a container. */
export function surroundings(): ContainerSurroundings {
  return {
    image: 'sha256:abc',
    imageIdentity: { user: '', accounts: { users: [{ name: 'root', uid: 0, gid: 0 }], groups: [] } },
    cgroupDriver: 'systemd',
    cgroupVersion: '2',
    oomFloor: -1000,
    apparmor: true,
    capabilities: undefined,
    hostDevices: [],
    selinux: false,
    features: NO_FEATURES,
    spool: { maxSize: '16m', maxFile: '4', isLog: false },
    runtime: '',
    nowMs: 1_700_000_000_500,
  };
}
