import { isReady } from '../../../../src/store/states';
import { NamespaceMode, PodSandboxState } from '../../../../src/proto/enums';
import type { EngineState } from '../../../../src/store/records';
import {
  sandboxState,
  toCriSandbox,
  toCriSandboxStatus,
} from '../../../../src/translate/sandbox/sandbox-status';
import { CREATED, sandboxRecord } from '../../support/records';

describe('readiness', () => {
  it.each<{ state: EngineState; networkReady: boolean; ready: boolean }>([
    { state: 'running', networkReady: true, ready: true },
    { state: 'paused', networkReady: true, ready: true },
    { state: 'running', networkReady: false, ready: false },
    { state: 'created', networkReady: true, ready: false },
    { state: 'restarting', networkReady: true, ready: false },
    { state: 'exited', networkReady: true, ready: false },
    { state: 'dead', networkReady: true, ready: false },
    { state: 'removing', networkReady: true, ready: false },
  ])(
    'is computed for a sandbox that is $state (network ready: $networkReady): $ready',
    ({ state, networkReady, ready }) => {
      const sandbox = sandboxRecord({ state, networkReady });
      expect(isReady(sandbox)).toBe(ready);
      const expected = ready ? PodSandboxState.SANDBOX_READY : PodSandboxState.SANDBOX_NOTREADY;
      expect([sandboxState(sandbox), toCriSandbox(sandbox).state, toCriSandboxStatus(sandbox).state]).toEqual(
        [expected, expected, expected],
      );
    },
  );
});

describe('the network of a sandbox', () => {
  const host = { ...sandboxRecord().namespaces, network: NamespaceMode.NODE };

  it.each([
    { desc: 'one address', over: {}, network: { ip: '10.1.2.3', additional_ips: [] } },
    {
      desc: 'two addresses',
      over: { ips: ['10.1.2.3', 'fd00::3'] },
      network: { ip: '10.1.2.3', additional_ips: [{ ip: 'fd00::3' }] },
    },
    { desc: 'no address yet', over: { ips: [] }, network: { ip: '', additional_ips: [] } },
    {
      desc: 'stopped, with its addresses released',
      over: { state: 'exited' as const },
      network: { ip: '', additional_ips: [] },
    },
    { desc: 'the host network', over: { namespaces: host, ips: [] }, network: null },
  ])('is reported: $desc', ({ over, network }) => {
    expect(toCriSandboxStatus(sandboxRecord(over)).network).toEqual(network);
  });
});

it('the other fields of a sandbox are passed on', () => {
  const { POD, CONTAINER, NODE } = NamespaceMode;
  const sandbox = sandboxRecord({
    metadata: { name: 'web', namespace: 'shop', uid: 'uid-1', attempt: 3 },
    labels: { a: 'b' },
    annotations: { c: 'd' },
    runtimeHandler: 'kata',
    namespaces: { network: POD, pid: CONTAINER, ipc: NODE, targetId: '' },
  });
  const listed = {
    id: sandbox.id,
    metadata: { name: 'web', namespace: 'shop', uid: 'uid-1', attempt: 3 },
    state: PodSandboxState.SANDBOX_READY,
    created_at: CREATED,
    labels: { a: 'b' },
    annotations: { c: 'd' },
    runtime_handler: 'kata',
  };
  expect(toCriSandbox(sandbox)).toEqual(listed);
  expect(toCriSandboxStatus(sandbox)).toEqual({
    ...listed,
    network: { ip: '10.1.2.3', additional_ips: [] },
    linux: { namespaces: { options: { network: POD, pid: CONTAINER, ipc: NODE } } },
  });
});
