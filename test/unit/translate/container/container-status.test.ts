import { isListed } from '../../../../src/store/states';
import Long from 'long';
import { cri } from '../../../../src/proto';
import { ContainerState, MountPropagation, Signal } from '../../../../src/proto/enums';
import type { ContainerRecord, EngineState } from '../../../../src/store/records';
import {
  containerState,
  toCriContainer,
  toCriContainerStatus,
} from '../../../../src/translate/container/container-status';
import { containerFromInspect } from '../../../../src/translate/container/container-record';
import { toCriMount } from '../../../../src/translate/container/mounts';
import { toCriResources } from '../../../../src/translate/container/resources';
import { recordedInspect } from '../../support/inspects';
import { containerRecord, CREATED, engineId, FINISHED, imageRecord, STARTED } from '../../support/records';

const { CONTAINER_CREATED, CONTAINER_RUNNING, CONTAINER_EXITED, CONTAINER_UNKNOWN } = ContainerState;

interface Row {
  readonly state: EngineState;
  readonly started?: boolean;
  readonly exitCode?: number;
  readonly oom?: boolean;
  readonly error?: string;
  readonly others?: boolean;
  readonly expected: ContainerState;
  readonly reason?: string;
  /** The expected exit code if it is not the record's. */
  readonly code?: number;
  readonly times: 'none' | 'started' | 'both' | 'creation';
}

/** The values of a row that does not name them. */
const DEFAULTS = { started: false, exitCode: 0, oom: false, error: '', others: false };
const ROWS: Row[] = [
  { state: 'created', expected: CONTAINER_CREATED, times: 'none' },
  { state: 'created', oom: true, expected: CONTAINER_CREATED, times: 'none' },
  {
    state: 'created',
    exitCode: 127,
    code: 128,
    error: 'no such file',
    expected: CONTAINER_EXITED,
    reason: 'StartError',
    times: 'creation',
  },
  {
    state: 'created',
    exitCode: 128,
    expected: CONTAINER_EXITED,
    reason: 'StartError',
    times: 'creation',
  },
  {
    state: 'created',
    code: 128,
    error: 'no such file',
    expected: CONTAINER_EXITED,
    reason: 'StartError',
    times: 'creation',
  },
  // cri-dockerd reported a failed start in this form.
  {
    state: 'created',
    others: true,
    exitCode: 127,
    error: 'OCI runtime create failed: no such file',
    expected: CONTAINER_EXITED,
    reason: 'ContainerCannotRun',
    times: 'creation',
  },
  { state: 'running', started: true, expected: CONTAINER_RUNNING, times: 'started' },
  // The record has data of a former run and of a killed exec, but the container runs.
  {
    state: 'running',
    started: true,
    exitCode: 137,
    oom: true,
    expected: CONTAINER_RUNNING,
    code: 0,
    times: 'started',
  },
  { state: 'paused', started: true, expected: CONTAINER_RUNNING, times: 'started' },
  { state: 'restarting', started: true, exitCode: 1, expected: CONTAINER_RUNNING, code: 0, times: 'started' },
  { state: 'exited', started: true, expected: CONTAINER_EXITED, reason: 'Completed', times: 'both' },
  { state: 'exited', started: true, exitCode: 1, expected: CONTAINER_EXITED, reason: 'Error', times: 'both' },
  {
    state: 'exited',
    started: true,
    exitCode: 137,
    oom: true,
    expected: CONTAINER_EXITED,
    reason: 'OOMKilled',
    times: 'both',
  },
  {
    state: 'exited',
    started: true,
    exitCode: 0,
    oom: true,
    expected: CONTAINER_EXITED,
    reason: 'OOMKilled',
    times: 'both',
  },
  {
    state: 'exited',
    started: true,
    exitCode: 2,
    error: 'disk full',
    expected: CONTAINER_EXITED,
    reason: 'Error',
    times: 'both',
  },
  { state: 'dead', started: true, exitCode: 1, expected: CONTAINER_EXITED, reason: 'Error', times: 'both' },
  { state: 'removing', started: true, expected: CONTAINER_UNKNOWN, times: 'started' },
  { state: 'unknown', started: true, expected: CONTAINER_UNKNOWN, times: 'started' },
];

const TIMES = {
  none: [Long.ZERO, Long.ZERO],
  started: [STARTED, Long.ZERO],
  both: [STARTED, FINISHED],
  creation: [CREATED, CREATED],
};

describe('the container state', () => {
  it.each(ROWS.map((row) => ({ ...DEFAULTS, ...row })))(
    'is computed for a container that is $state (started: $started, exit code: $exitCode, OOM: $oom, error: "$error", made by others: $others)',
    ({ state, started, exitCode, oom, error, others, expected, reason = '', code, times }) => {
      const record = containerRecord({
        state,
        startedAt: started ? STARTED : Long.ZERO,
        finishedAt: state === 'exited' || state === 'dead' ? FINISHED : Long.ZERO,
        exitCode,
        oomKilled: oom,
        error,
        madeByOthers: others,
      });
      expect(containerState(record)).toBe(expected);
      const status = toCriContainerStatus(record, undefined);
      expect(status).toMatchObject({
        state: expected,
        created_at: CREATED,
        exit_code: code ?? exitCode,
        reason,
        message: error,
      });
      expect([status.started_at, status.finished_at].map(String)).toEqual(TIMES[times].map(String));
      expect(toCriContainer(record, undefined).state).toBe(expected);
    },
  );

  it.each([
    ['container-created', CONTAINER_CREATED, ''],
    ['container-running', CONTAINER_RUNNING, ''],
    ['container-paused', CONTAINER_RUNNING, ''],
    ['container-exited', CONTAINER_EXITED, 'Completed'],
    ['container-failed', CONTAINER_EXITED, 'Error'],
    ['container-oom', CONTAINER_EXITED, 'OOMKilled'],
    ['container-start-failed', CONTAINER_EXITED, 'StartError'],
    ['container-dead', CONTAINER_EXITED, 'Error'],
  ])('of a recorded %s is computed', (name, state, reason) => {
    const status = onTheWire(containerFromInspect(recordedInspect(name))!);
    expect([status.state, status.reason]).toEqual([state, reason]);
    // The time is never the Engine's year 1, and never before the creation.
    for (const time of [status.started_at, status.finished_at]) {
      const at = Long.fromValue(time);
      expect(at.isZero() || at.greaterThanOrEqual(status.created_at)).toBe(true);
    }
  });

  it.each([
    ['removing', false],
    ['dead', true],
    ['created', true],
  ] as [EngineState, boolean][])('decides if a list includes the container: %s gives %s', (state, listed) => {
    expect(isListed(containerRecord({ state }))).toBe(listed);
  });
});

function onTheWire(record: ContainerRecord) {
  return cri.ContainerStatus.decode(
    cri.ContainerStatus.encode(toCriContainerStatus(record, undefined)).finish(),
  );
}

describe('the image name of a container', () => {
  const id = `sha256:${engineId('1')}`;
  const ref = `busybox@sha256:${engineId('d')}`;
  const named = imageRecord();
  const nameless = imageRecord({ repoTags: [], repoDigests: [] });

  it.each([
    { desc: "the pod's name", userSpecifiedImage: 'app:2', asked: id, image: named, name: 'app:2' },
    { desc: 'the requested name', userSpecifiedImage: '', asked: 'app:2', image: named, name: 'app:2' },
    {
      desc: 'a name that consists of hexadecimal digits',
      userSpecifiedImage: '',
      asked: 'cafe',
      image: named,
      name: 'cafe',
    },
    {
      desc: 'a tag in place of an id',
      userSpecifiedImage: '',
      asked: id,
      image: named,
      name: 'busybox:latest',
    },
    {
      desc: 'a tag in place of the beginning of an id',
      userSpecifiedImage: '',
      asked: '10000',
      image: named,
      name: 'busybox:latest',
    },
    {
      desc: "the pod's name for an image without names",
      userSpecifiedImage: 'app:2',
      asked: id,
      image: nameless,
      name: 'app:2',
    },
    {
      desc: "the pod's name for a removed image",
      userSpecifiedImage: 'app:2',
      asked: id,
      image: undefined,
      name: 'app:2',
    },
    {
      desc: 'the id for an image without names',
      userSpecifiedImage: '',
      asked: id,
      image: nameless,
      name: id,
    },
  ])('is $desc', ({ userSpecifiedImage, asked, image, name }) => {
    const record = containerRecord({ image: asked, userSpecifiedImage, imageId: id });
    for (const told of [toCriContainerStatus(record, image), toCriContainer(record, image)]) {
      expect(told.image).toEqual({
        image: name,
        user_specified_image: userSpecifiedImage,
        annotations: {},
      });
      expect([told.image_ref, told.image_id]).toEqual([image === named ? ref : id, id]);
    }
  });

  it.each([
    ['app:2', `app@sha256:${engineId('e')}`],
    ['docker.io/library/app', `app@sha256:${engineId('e')}`],
    ['busybox', ref],
    ['elsewhere/app:2', ref],
    ['', ref],
  ])('for the pod\'s name "%s" comes with the digest %s', (userSpecifiedImage, image_ref) => {
    const image = imageRecord({ repoDigests: [ref, `app@sha256:${engineId('e')}`] });
    const record = containerRecord({ image: id, userSpecifiedImage, imageId: id });
    expect(toCriContainer(record, image)).toMatchObject({ image_ref });
  });
});

describe('the other fields of a container', () => {
  const mount = {
    containerPath: '/c',
    hostPath: '/h',
    readonly: true,
    selinuxRelabel: true,
    propagation: MountPropagation.PROPAGATION_BIDIRECTIONAL,
    recursiveReadOnly: false,
  };
  const record = containerRecord({
    metadata: { name: 'app', attempt: 3 },
    labels: { app: 'web' },
    annotations: { note: 'n' },
    image: 'asked:1',
    userSpecifiedImage: 'said:1',
    imageAnnotations: { of: 'image' },
    mounts: [mount],
    logPath: '/log/0.log',
    resources: { ...containerRecord().resources, memoryLimit: 2 ** 33 },
    user: { uid: 1, gid: 2, groups: [3, 4] },
    stopSignal: 'SIGQUIT',
  });

  it('are passed on', () => {
    const listed = {
      id: record.id,
      metadata: { name: 'app', attempt: 3 },
      image: { image: 'said:1', user_specified_image: 'said:1', annotations: { of: 'image' } },
      image_ref: record.imageId,
      image_id: record.imageId,
      state: CONTAINER_CREATED,
      created_at: CREATED,
      labels: { app: 'web' },
      annotations: { note: 'n' },
    };
    expect(toCriContainer(record, undefined)).toEqual({ ...listed, pod_sandbox_id: record.sandboxId });
    expect(toCriContainerStatus(record, undefined)).toEqual({
      ...listed,
      started_at: Long.ZERO,
      finished_at: Long.ZERO,
      exit_code: 0,
      reason: '',
      message: '',
      mounts: [toCriMount(mount)],
      log_path: '/log/0.log',
      resources: toCriResources(record.resources),
      user: { linux: { uid: 1, gid: 2, supplemental_groups: [3, 4] } },
      stop_signal: Signal.SIGNAL_SIGQUIT,
    });
    expect(toCriContainerStatus(containerRecord(), undefined).user).toBeNull();
  });

  it('have TERM as the effective stop signal if nobody set one', () => {
    expect(toCriContainerStatus(containerRecord(), undefined).stop_signal).toBe(Signal.SIGNAL_SIGTERM);
  });

  it('survive encoding, with times to the nanosecond', () => {
    const status = onTheWire(
      containerRecord({ ...record, startedAt: STARTED, finishedAt: FINISHED, state: 'exited' }),
    );
    expect([status.created_at, status.started_at, status.finished_at].map(String)).toEqual(
      [CREATED, STARTED, FINISHED].map(String),
    );
    expect(String(status.resources?.linux?.memory_limit_in_bytes)).toBe(String(2 ** 33));
  });
});
