import Long from 'long';
import { ContainerEventType } from '../../../../src/proto/enums';
import type { ContainerRecord, SandboxRecord } from '../../../../src/store/records';
import { lifecycleEvents } from '../../../../src/translate/shared/lifecycle';
import { containerRecord, FINISHED, runningContainer, sandboxRecord, STARTED } from '../../support/records';

const CREATED = containerRecord();
const RUNNING = runningContainer();
const PAUSED = runningContainer({ state: 'paused' });
const EXITED = runningContainer({ state: 'exited', pid: 0, finishedAt: FINISHED });
const FAILED = containerRecord({ exitCode: 127, error: 'no such file' });
const LISTED = runningContainer({ pid: 0, startedAt: STARTED.subtract(Long.fromNumber(5)) });
const LATER = STARTED.add(Long.fromNumber(5));
const SANDBOX = sandboxRecord();
const STOPPED_SANDBOX = sandboxRecord({ state: 'exited', pid: 0, networkReady: false });

type AnyRecord = ContainerRecord | SandboxRecord | undefined;

function named(before: AnyRecord, now: AnyRecord): string[] {
  return lifecycleEvents(now, before).map((type) => {
    const [name = ''] = Object.entries(ContainerEventType).find(([, number]) => number === type) ?? [];
    return name.replace(/CONTAINER_(.*)_EVENT/, '$1').toLowerCase();
  });
}

it.each<[string, AnyRecord, AnyRecord, string[]]>([
  ['is created', undefined, CREATED, ['created']],
  ['starts', CREATED, RUNNING, ['started']],
  ['ends', RUNNING, EXITED, ['stopped']],
  ['is removed', EXITED, undefined, ['deleted']],
  ['is removed before it started', CREATED, undefined, ['deleted']],
  ['cannot be started', CREATED, FAILED, ['stopped']],
  ['is paused', RUNNING, PAUSED, []],
  ['is unpaused', PAUSED, RUNNING, []],
  ['is being removed after it has ended', EXITED, { ...EXITED, state: 'removing' }, []],
  ['changes in another field', RUNNING, { ...RUNNING, oomKilled: true }, []],
  ['started and ended unseen', CREATED, EXITED, ['started', 'stopped']],
  ['is running when it is found', undefined, RUNNING, ['created', 'started']],
  ['has ended when it is found', undefined, EXITED, ['created', 'started', 'stopped']],
  ['has failed when it is found', undefined, FAILED, ['created', 'stopped']],
  ['is removed while it runs', RUNNING, undefined, ['stopped', 'deleted']],
  ['is started again', EXITED, { ...RUNNING, startedAt: LATER }, ['started']],
  ['was restarted unseen', RUNNING, { ...RUNNING, startedAt: LATER }, ['stopped', 'started']],
  ['was only listed as running, and is inspected', LISTED, RUNNING, []],
  ['was only listed as running, and has ended', LISTED, EXITED, ['stopped']],
  ['ran again unseen', EXITED, { ...EXITED, startedAt: LATER }, ['started', 'stopped']],
  [
    'was restarted unseen and ended',
    RUNNING,
    { ...EXITED, startedAt: LATER },
    ['stopped', 'started', 'stopped'],
  ],
])('lifecycleEvents returns the events of a container that %s', (_, before, now, events) => {
  expect(named(before, now)).toEqual(events);
});

it.each<[string, AnyRecord, AnyRecord, string[]]>([
  ['is started', undefined, SANDBOX, ['created', 'started']],
  ['loses its network', SANDBOX, { ...SANDBOX, networkReady: false }, []],
  ['is stopped', { ...SANDBOX, networkReady: false }, STOPPED_SANDBOX, ['stopped']],
  ['is removed', STOPPED_SANDBOX, undefined, ['deleted']],
  ['is started again', STOPPED_SANDBOX, SANDBOX, ['started']],
  ['was restarted unseen', SANDBOX, { ...SANDBOX, pid: 101 }, ['stopped', 'started']],
])('lifecycleEvents returns the events of a sandbox that %s', (_, before, now, events) => {
  expect(named(before, now)).toEqual(events);
});
