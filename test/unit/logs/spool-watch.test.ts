import { SpoolWatch } from '../../../src/logs/follow-task';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from '../support/async';

describe('SpoolWatch', () => {
  let directory: string;
  let events: number;
  let watch: SpoolWatch;
  beforeEach(() => {
    directory = fs.mkdtempSync(join(tmpdir(), 'dockbridge-spool-watch-'));
    events = 0;
    watch = new SpoolWatch(join(directory, 'c1-json.log'), () => events++);
  });
  afterEach(() => {
    watch.disarm();
    fs.rmSync(directory, { recursive: true, force: true });
  });

  it('is active until it is stopped', () => {
    expect(watch.armed).toBe(false);
    expect([watch.arm(), watch.armed]).toEqual([true, true]);
    expect([watch.arm(), watch.armed]).toEqual([true, true]);
    watch.disarm();
    expect(watch.armed).toBe(false);
    watch.disarm();
  });

  it('cannot be set up while there is no directory', () => {
    fs.rmdirSync(directory);
    expect([watch.arm(), watch.armed]).toEqual([false, false]);
    fs.mkdirSync(directory);
    expect(watch.arm()).toBe(true);
  });

  it.each(['c1-json.log', 'c1-json.log.1'])('reports a change of %s, and of no other file', async (name) => {
    // A write before the watch is set up causes no event.
    fs.writeFileSync(join(directory, 'other'), '');
    watch.arm();
    const other = new SpoolWatch(join(directory, 'other'), () => (isOtherSeen = true));
    let isOtherSeen = false;
    other.arm();
    try {
      fs.appendFileSync(join(directory, 'other'), 'x');
      await until(() => isOtherSeen, 'the change of the other file');
      expect(events).toBe(0);
      fs.writeFileSync(join(directory, name), 'x');
      await until(() => events > 0, `the change of ${name}`);
    } finally {
      other.disarm();
    }
  });
});
