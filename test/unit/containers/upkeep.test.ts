import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { NodeUpkeep, NoUpkeep } from '../../../src/containers/upkeep';
import type { EngineContainerInspect } from '../../../src/engine/types';
import { silentLogger } from '../../../src/lib/logger';
import { WritableStore } from '../../../src/store/store';
import { fromEngineResources } from '../../../src/translate/container/resources';
import { containerRecord, engineId } from '../support/records';
import { recordedInspect } from '../support/inspects';
import { V2Machine } from './support/v2-machine';

const OF_THE_ENGINE = 'nameserver 192.0.2.1\n';
const OF_THE_POD = 'nameserver 192.0.2.9\n';

describe('the DNS of a pod', () => {
  let root: string;
  let path: string;
  let sandbox: EngineContainerInspect;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'dockbridge-upkeep-'));
    sandbox = recordedInspect('sandbox-running');
    mkdirSync(join(root, sandbox.Id));
    path = join(root, sandbox.Id, 'resolv.conf');
    sandbox.ResolvConfPath = path;
    const labels = sandbox.Config.Labels!;
    const extra = JSON.parse(labels['io.dockbridge.cri'] ?? '{}') as object;
    const dns = { servers: ['192.0.2.9'], searches: [], options: [] };
    labels['io.dockbridge.cri'] = JSON.stringify({ ...extra, dns });
    writeFileSync(path, OF_THE_ENGINE);
  });
  afterEach(() => rmSync(root, { recursive: true }));
  const text = (): string => readFileSync(path, 'utf8');

  it('is written into the sandbox’s file before the call returns', async () => {
    await new NodeUpkeep(silentLogger).keepDns(sandbox, false);
    expect(text()).toBe(OF_THE_POD);
  });

  it('does not replace a file that was written after a start that dockbridge did not see', async () => {
    await new NodeUpkeep(silentLogger).keepDns(sandbox, true);
    expect(text()).toBe(OF_THE_ENGINE);
  });

  it('that cannot be written causes a warning with the reason, and no failure', async () => {
    const warn = jest.fn();
    rmSync(path);
    await new NodeUpkeep({ ...silentLogger, warn }).keepDns(sandbox, false);
    expect(warn.mock.calls).toEqual([
      [
        'Cannot correct the resolv.conf of a pod',
        { sandbox: sandbox.Id, error: expect.stringContaining('ENOENT') as string },
      ],
    ]);
  });

  it('is not written by an observing daemon', async () => {
    // The caller awaits keepDns, so the promise must resolve.
    await new NoUpkeep().keepDns().then(() => expect(text()).toBe(OF_THE_ENGINE));
  });
});

describe('the limits of a container', () => {
  const ID = engineId('c1');
  let machine: V2Machine;
  beforeEach(() => {
    machine = new V2Machine(ID, 42, ['memory.high']);
    machine.write('memory.high', 'max\n');
  });
  afterEach(() => machine.remove());
  const record = containerRecord({
    ...{ id: ID, state: 'running', pid: 42 },
    resources: fromEngineResources({ CpuShares: 2 }, { hugepages: {}, unified: { 'memory.high': '4096' } }),
  });

  it('are read, not written, while nothing is watched', async () => {
    const upkeep = new NodeUpkeep(silentLogger, machine.proc);
    expect((await upkeep.limitsOf(record)).unified).toEqual({ 'memory.high': 'max' });
    expect(machine.read('memory.high')).toBe('max\n');
    // There is nothing to close, either.
    upkeep.close();
  });

  it("are reported with the kernel's values by an observing daemon, which watches and writes nothing", async () => {
    const observing = new NoUpkeep(machine.proc);
    observing.watchLimits();
    for (const told of [await observing.keepLimits(record), await observing.limitsOf(record)])
      expect(told).toEqual({ ...record.resources, unified: { 'memory.high': 'max' } });
    observing.close();
    expect(machine.read('memory.high')).toBe('max\n');
  });

  it('are no longer watched when the watch is closed', async () => {
    const upkeep = new NodeUpkeep(silentLogger, machine.proc);
    const store = new WritableStore();
    const looks: Promise<void>[] = [];
    upkeep.watchLimits(store, (_, work) => {
      const look = work(() => Promise.resolve());
      looks.push(look);
      return look;
    });
    store.containers.put(record);
    upkeep.close();
    expect((await upkeep.limitsOf(record)).unified).toEqual({ 'memory.high': 'max' });
    // Nobody listens to the store any more.
    store.containers.put({ ...record, pid: 43 });
    expect((await upkeep.limitsOf({ ...record, pid: 43 })).unified).toEqual({ 'memory.high': '4096' });
    await Promise.all(looks);
    expect([machine.read('memory.high'), looks.length]).toEqual(['max\n', 0]);
  });
});
