import Long from 'long';
import { keepLog } from '../../../src/containers/container-log';
import { WritableStore } from '../../../src/store/store';
import { LogCopier } from '../../../src/logs/log-copier';
import * as fs from 'node:fs';
import { silentLogger } from '../../../src/lib/logger';
import { containerRecord } from '../support/records';
import { LogRoom } from '../logs/support/log-room';

describe('keepLog', () => {
  let room: LogRoom;
  let store: WritableStore;
  let logs: LogCopier;
  beforeEach(() => {
    room = new LogRoom();
    store = new WritableStore();
    logs = room.logs();
  });
  afterEach(() => room.dispose());

  const keep = (over: Parameters<typeof containerRecord>[0]): Promise<unknown> =>
    keepLog(
      { store, logs, logger: room.logger(), localEngine: true },
      containerRecord({ id: 'c1', logPath: room.logPath, spoolPath: room.spoolPath, ...over }),
    );
  const STARTED = Long.fromString('1700000000000000000');

  it.each([
    ['none', /discards the output of this container/],
    ['local', /log driver local, not json-file/],
    ['journald', /log driver journald/],
  ])('writes into the log why it has no output with the driver %s', async (logDriver, why) => {
    await keep({ logDriver, spoolPath: '', startedAt: STARTED, state: 'running' });
    await keep({ logDriver, spoolPath: '', startedAt: STARTED, state: 'running' });
    expect(room.texts()).toEqual([expect.stringMatching(why)]);
  });

  it('makes no log of a container that was only created', async () => {
    await keep({ spoolPath: '' });
    await keep({});
    expect(fs.existsSync(room.logPath)).toBe(false);
  });

  it('copies the output of a start that died with the Engine, whose container says "created" and has no log path', async () => {
    const rootDir = `${room.root}/engine`;
    store.engine = { rootDir } as NonNullable<WritableStore['engine']>;
    fs.mkdirSync(`${rootDir}/containers/c1`, { recursive: true });
    room.docker().write('output');
    fs.renameSync(room.spoolPath, `${rootDir}/containers/c1/c1-json.log`);
    await keep({ spoolPath: '' });
    expect(room.texts()).toEqual(['output']);
    await keep({ spoolPath: '' });
    expect(room.texts()).toEqual(['output']);
  });

  it('keeps the link of a container that had ended before the first inspect, but not of one that ends later', async () => {
    room.docker().write('output');
    fs.mkdirSync(`${room.root}/pods/ns_pod_uid/app`, { recursive: true });
    fs.symlinkSync(room.spoolPath, room.logPath);
    const ended = { startedAt: STARTED, finishedAt: STARTED.add(1), state: 'exited' as const };
    await keep(ended);
    expect(fs.lstatSync(room.logPath).isSymbolicLink()).toBe(true);
    await logs.close();
    logs = new LogCopier({ stateDir: room.stateDir, logger: silentLogger });
    const running = { startedAt: STARTED, state: 'running' as const };
    await keep(running);
    store.containers.put(containerRecord({ id: 'c1', ...running }));
    await keep(ended);
    expect(room.texts()).toEqual(['output']);
    await logs.close();
  });
});
