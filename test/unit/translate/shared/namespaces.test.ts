import { NamespaceMode } from '../../../../src/proto/enums';
import type { NamespaceModes } from '../../../../src/store/records';
import * as namespaces from '../../../../src/translate/shared/namespaces';
import { codeAndField } from '../../support/errors';
import { decoded, unknownEnum } from '../../support/wire';

type Given = Parameters<typeof decoded<'NamespaceOption'>>[1];
const { POD, CONTAINER, NODE, TARGET } = NamespaceMode;
const modes = (over: Partial<NamespaceModes>): NamespaceModes => ({ ...namespaces.POD_NAMESPACES, ...over });

describe('toNamespaceModes', () => {
  it.each<{ desc: string; given: Given | null; of: 'sandbox' | 'container'; expected: NamespaceModes }>([
    { desc: 'nil means POD', given: null, of: 'sandbox', expected: modes({}) },
    { desc: 'empty means POD', given: {}, of: 'container', expected: modes({}) },
    {
      desc: 'kubelet’s ordinary pod',
      given: { network: POD, pid: CONTAINER, ipc: POD },
      of: 'sandbox',
      expected: modes({ pid: CONTAINER }),
    },
    {
      desc: 'all namespaces of the host',
      given: { network: NODE, pid: NODE, ipc: NODE },
      of: 'sandbox',
      expected: modes({ network: NODE, pid: NODE, ipc: NODE }),
    },
    {
      desc: 'a target',
      given: { pid: TARGET, target_id: 'c2' },
      of: 'container',
      expected: modes({ pid: TARGET, targetId: 'c2' }),
    },
    {
      desc: 'the user namespace of the host',
      given: { userns_options: { mode: NODE } },
      of: 'sandbox',
      expected: modes({}),
    },
  ])('translates: $desc', ({ given, of, expected }) => {
    const options = given && decoded('NamespaceOption', given);
    expect(namespaces.toNamespaceModes(options, 'n', of)).toEqual(expected);
  });

  it.each<{ desc: string; given: Given; of: 'sandbox' | 'container'; error: string }>([
    {
      desc: 'network CONTAINER',
      given: { network: CONTAINER },
      of: 'sandbox',
      error: 'INVALID_ARGUMENT n.network',
    },
    {
      desc: 'network TARGET',
      given: { network: TARGET },
      of: 'container',
      error: 'INVALID_ARGUMENT n.network',
    },
    { desc: 'ipc CONTAINER', given: { ipc: CONTAINER }, of: 'container', error: 'INVALID_ARGUMENT n.ipc' },
    {
      desc: 'pid TARGET of a sandbox',
      given: { pid: TARGET, target_id: 'c' },
      of: 'sandbox',
      error: 'INVALID_ARGUMENT n.pid',
    },
    {
      desc: 'pid TARGET without a target',
      given: { pid: TARGET },
      of: 'container',
      error: 'INVALID_ARGUMENT n.target_id',
    },
    {
      desc: 'an unknown mode',
      given: { pid: unknownEnum(9) },
      of: 'container',
      error: 'INVALID_ARGUMENT n.pid',
    },
    {
      desc: 'a user namespace of the pod',
      given: { userns_options: { mode: POD } },
      of: 'sandbox',
      error: 'UNIMPLEMENTED n.userns_options',
    },
    {
      desc: 'a user namespace of the container',
      given: { userns_options: { mode: CONTAINER } },
      of: 'sandbox',
      error: 'INVALID_ARGUMENT n.userns_options.mode',
    },
  ])('refuses $desc', ({ given, of, error }) => {
    const options = decoded('NamespaceOption', given);
    expect(codeAndField(() => namespaces.toNamespaceModes(options, 'n', of))).toBe(error);
  });
});

describe("the Engine's modes", () => {
  it.each([
    {
      desc: 'an ordinary pod',
      given: modes({ pid: CONTAINER }),
      engine: { NetworkMode: 'bridge', IpcMode: 'shareable' },
    },
    {
      desc: 'a pod on the host',
      given: modes({ network: NODE, pid: NODE, ipc: NODE }),
      engine: { NetworkMode: 'host', IpcMode: 'host', PidMode: 'host' },
    },
  ])('are set for a sandbox: $desc', ({ given, engine }) =>
    expect(namespaces.sandboxNamespaces(given, 'bridge')).toEqual(engine),
  );

  it.each([
    {
      desc: 'sharing network and IPC',
      given: modes({ pid: CONTAINER }),
      engine: { NetworkMode: 'container:s', IpcMode: 'container:s', PidMode: '' },
    },
    {
      desc: 'sharing PIDs too',
      given: modes({}),
      engine: { NetworkMode: 'container:s', IpcMode: 'container:s', PidMode: 'container:s' },
    },
    {
      desc: 'all namespaces of the host',
      given: modes({ network: NODE, pid: NODE, ipc: NODE }),
      engine: { NetworkMode: 'host', IpcMode: 'host', PidMode: 'host', UTSMode: 'host' },
    },
    {
      desc: 'the PID namespace of another container',
      given: modes({ pid: TARGET, targetId: 'c2' }),
      engine: { NetworkMode: 'container:s', IpcMode: 'container:s', PidMode: 'container:c2' },
    },
  ])('are set for a container: $desc', ({ given, engine }) =>
    expect(namespaces.containerNamespaces(given, 's')).toEqual(engine),
  );

  it.each([
    {
      desc: 'an ordinary pod',
      host: { NetworkMode: 'none', IpcMode: 'shareable', PidMode: '' },
      expected: modes({ pid: CONTAINER }),
    },
    {
      desc: 'a pod on the host',
      host: { NetworkMode: 'host', IpcMode: 'host', PidMode: 'host' },
      expected: modes({ network: NODE, pid: NODE, ipc: NODE }),
    },
    { desc: 'unset modes', host: {}, expected: modes({ pid: CONTAINER }) },
  ])('are read back from cri-dockerd: $desc', ({ host, expected }) =>
    expect(namespaces.fromEngineNamespaces(host)).toEqual(expected),
  );
});
