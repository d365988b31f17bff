import { readFileSync } from 'node:fs';
import { mkdir, readdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { CniNetwork } from '../../../src/network/cni/cni-network';
import type { EngineContainerInspect } from '../../../src/engine/types';
import type { PodToAttach } from '../../../src/translate/sandbox/pod-to-attach';
import type { PodPort } from '../../../src/translate/sandbox/ports';
import { until } from '../support/async';
import { rejectionOf } from '../support/errors';
import { answer, FakeNode, listOf, RESULT } from './fake-plugins';

let node: FakeNode;
let network: CniNetwork;
beforeEach(async () => {
  node = await FakeNode.create();
  await node.plugin('one', answer(RESULT));
  await node.configure(listOf([{ type: 'one', capabilities: { portMappings: true } }]));
  await mkdir(results(), { recursive: true });
  network = await node.open();
});
afterEach(async () => {
  await network.close();
  await node.remove();
});

const POD: PodToAttach = {
  ...{ name: 'web', namespace: 'shop', uid: 'u1', annotations: {}, dns: undefined },
  ports: [],
};

const results = (): string => join(node.cacheDir, 'results');

async function attach(ports: readonly PodPort[] = []): Promise<void> {
  const sandbox = { Id: 'c1', State: { Pid: process.pid } } as EngineContainerInspect;
  await network.attach(sandbox, { ...POD, ports });
}

async function reopen(): Promise<void> {
  await network.close();
  network = await node.open();
}

describe('a CNI cache that cannot be written', () => {
  it('fails the pod, gives the reason, and keeps no half-written file', async () => {
    // A write to /dev/full fails as on a full disk.
    await symlink('/dev/full', join(results(), '.net-c1-eth0.dockbridge'));
    expect(await rejectionOf(attach())).toMatch(
      /^UNAVAILABLE the CNI cache in .*results cannot be written \(ENOSPC\)/,
    );
    expect(await readdir(results())).toEqual([]);
    expect([...node.namespaces.lives]).toEqual([]);
    await attach();
    expect(await readdir(results())).toEqual(['net-c1-eth0']);
  });

  it('does not keep dockbridge from starting if it has a half-written file that cannot be removed', async () => {
    // Removing this directory as a file fails, as removing any file fails on a read-only disk.
    await mkdir(join(results(), '.net-c2-eth0.dockbridge'));
    await reopen();
    await attach();
    expect(await network.stateOf({ Id: 'c1', State: { Pid: process.pid } } as never)).toMatchObject({
      ready: true,
    });
  });
});

it('a host port of a pod from a former --run-dir is free even if the network of the pod cannot be undone', async () => {
  const ports = [{ hostPort: 80, containerPort: 8080, protocol: 'tcp' as const, hostIp: '' }];
  const left = {
    ...{
      kind: 'cniCacheV1',
      containerId: 'x1',
      ifName: 'eth0',
      networkName: 'net',
      netns: '/former/netns/x1',
    },
    ...{ result: RESULT, cniArgs: [] },
    capabilityArgs: { portMappings: [{ hostPort: 80, containerPort: 8080, protocol: 'tcp', hostIP: '' }] },
    config: Buffer.from(JSON.stringify(listOf(['missing']))).toString('base64'),
  };
  await writeFile(join(results(), 'net-x1-eth0'), JSON.stringify(left));
  await reopen();
  await attach(ports);
  // The entry stays, because the network may be undone later.
  expect((await readdir(results())).sort()).toEqual(['net-c1-eth0', 'net-x1-eth0']);
});

it("entries that other programs make in CNI's own cache are not garbage", async () => {
  await network.close();
  await node.configure(listOf(['one'], { cniVersion: '1.1.0' }));
  const file = (containerId: string, networkName: string): Promise<void> =>
    writeFile(
      join(node.othersCacheDir, 'results', `${networkName}-${containerId}-eth0`),
      JSON.stringify({ kind: 'cniCacheV1', containerId, ifName: 'eth0', networkName, result: RESULT }),
    );
  await mkdir(join(node.othersCacheDir, 'results'), { recursive: true });
  await file('x1', 'net');
  await file('x2', 'another');
  network = await node.open();
  network.collectGarbage(new Set());
  await until(() => /^GC/m.test(readFileSync(join(node.root, 'calls'), 'utf8')), 'the collection');
  const gc = (await node.calls()).find(({ command }) => command === 'GC');
  expect(gc?.input['cni.dev/valid-attachments']).toEqual([{ containerID: 'x1', ifname: 'eth0' }]);
});
