import * as fs from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { silentLogger } from '../../../src/lib/logger';
import { SpoolCopy } from '../../../src/logs/spool-copy';
import { emptyLogStats } from '../../../src/logs/container-logs';
import { PositionStore } from '../../../src/logs/resume';
import { TranslationBuffers } from '../../../src/logs/json-file-to-cri';
import { WorkMarker } from '../../../src/logs/hang-watch';
import type { FakeDockerLog } from './support/fake-docker-log';
import { LogRoom } from './support/log-room';
import { Killed, MortalDisk, type Moment } from './support/mortal-disk';

const ROUNDS = 14;
const LINES_A_ROUND = 9;
const buffers = new TranslationBuffers(4096);

/**
 * Kubelet's reactions when ReopenContainerLog fails: it renames the file back, or it dies as well and
 * leaves the files as they are. In the third case only the answer is lost, and kubelet renames the file back
 * after dockbridge has written to the new file.
 */
type Kubelet = 'renames back' | 'is gone too' | 'renames back late';

/** cri-dockerd leaves a link to the spool in place of the log. It stays until kubelet rotates. */
type Beginning = 'no log' | 'a link';

/**
 * Runs a container that writes, a spool that rotates, a kubelet that rotates, and a daemon that is killed and
 * started again. Each number in `fatals` is the change on disk, counted from a start of the daemon, at which it
 * is killed.
 */
class Story {
  readonly room = new LogRoom();
  private readonly docker: FakeDockerLog;
  private disk: MortalDisk;
  private copy: SpoolCopy | undefined;
  private renames = 0;
  written = 0;
  deaths = 0;

  constructor(
    private readonly fatals: number[],
    private readonly moment: Moment,
    private readonly kubelet: Kubelet,
    beginning: Beginning,
  ) {
    this.docker = this.room.docker({ maxSize: 900, maxFile: beginning === 'a link' ? 40 : 4 });
    if (beginning === 'a link') {
      fs.mkdirSync(dirname(this.room.logPath), { recursive: true });
      fs.symlinkSync(this.room.spoolPath, this.room.logPath);
    }
    this.disk = new MortalDisk(fatals.shift(), moment);
  }

  run(): number {
    for (let round = 0; round < ROUNDS; round++) {
      for (let i = 0; i < LINES_A_ROUND; i++)
        this.docker.write(`line ${this.written++}`, i % 3 === 0 ? 'stderr' : 'stdout');
      this.survive((copy) => this.readAll(copy));
      if (round % 4 === 1) this.survive((copy) => copy.commit());
      if (round % 3 === 2) this.rotateAsKubelet();
    }
    this.survive((copy) => {
      // The container ends.
      if (copy.isLinked) copy.takeOver();
      this.readAll(copy);
    });
    const { changes } = this.disk;
    this.disk.bury();
    this.docker.close();
    return changes;
  }

  /** Returns all lines, those of old files first. */
  texts(): string[] {
    const directory = dirname(this.room.logPath);
    const name = basename(this.room.logPath);
    const rotated = fs.readdirSync(directory).filter((other) => other !== name && !other.endsWith('.tmp'));
    return [...rotated.sort(), name].flatMap((file) => this.room.texts(join(directory, file)));
  }

  private survive(action: (copy: SpoolCopy) => void): void {
    for (;;) {
      try {
        action((this.copy ??= this.start()));
        return;
      } catch (error) {
        if (!(error instanceof Killed)) throw error;
        this.die();
      }
    }
  }

  private rotateAsKubelet(): void {
    const rotated = `${this.room.logPath}.${String(this.renames++).padStart(3, '0')}`;
    fs.renameSync(this.room.logPath, rotated);
    try {
      this.copy ??= this.start();
      // If kubelet was gone too, dockbridge has put the link back.
      if (this.copy.isLinked && this.copy.hasLinkAtPath) fs.renameSync(this.room.logPath, rotated);
      if (this.copy.isLinked) {
        this.copy.takeOver();
        this.readAll(this.copy);
      }
      this.copy.reopen();
      expect(fs.existsSync(this.room.logPath)).toBe(true);
      if (this.kubelet !== 'renames back late') return;
      for (let i = 0; i < 3; i++) {
        this.docker.write(`line ${this.written++}`);
        this.readAll(this.copy);
        this.copy.commit();
      }
      // Every other answer is lost although no process dies.
      if (this.renames % 2 === 0) fs.renameSync(rotated, this.room.logPath);
    } catch (error) {
      if (!(error instanceof Killed)) throw error;
      this.die();
      if (this.kubelet !== 'is gone too') fs.renameSync(rotated, this.room.logPath);
    }
  }

  private start(): SpoolCopy {
    const copy = new SpoolCopy(this.room.source, {
      disk: this.disk,
      positions: new PositionStore(this.room.stateDir, this.disk, silentLogger),
      buffers,
      stats: emptyLogStats(),
      logger: silentLogger,
      marker: new WorkMarker(),
    });
    fs.mkdirSync(this.room.stateDir, { recursive: true });
    // The worker does this before it is asked to follow.
    if (this.deaths % 2 === 1 && copy.resume()) this.readAll(copy);
    copy.start();
    return copy;
  }

  private readAll(copy: SpoolCopy): void {
    while (copy.step() === 'more');
  }

  private die(): void {
    this.deaths++;
    this.disk.bury();
    this.copy = undefined;
    this.disk = new MortalDisk(this.fatals.shift(), this.moment);
  }
}

const numbered = (count: number): string[] => Array.from({ length: count }, (_, i) => `line ${i}`);

async function tell(
  fatals: number[],
  moment: Moment,
  kubelet: Kubelet,
  beginning: Beginning = 'no log',
): Promise<{ changes: number; deaths: number }> {
  const story = new Story([...fatals], moment, kubelet, beginning);
  try {
    const changes = story.run();
    expect({ fatals, texts: story.texts() }).toEqual({ fatals, texts: numbered(story.written) });
    return { changes, deaths: story.deaths };
  } finally {
    await story.room.dispose();
  }
}

describe('SpoolCopy', () => {
  it('copies every line when nothing is killed', async () => {
    const { changes, deaths } = await tell([], 'before', 'renames back');
    expect(deaths).toBe(0);
    expect(changes).toBeGreaterThan(40);
  });

  for (const kubelet of ['renames back', 'is gone too', 'renames back late'] as const) {
    for (const moment of ['before', 'halfway', 'after'] as const) {
      it(`writes every line once after a kill at any change (moment: ${moment}), if kubelet ${kubelet}`, async () => {
        for (let fatal = 1; ; fatal++) {
          const { deaths } = await tell([fatal], moment, kubelet);
          if (deaths === 0) break;
        }
      });
    }
  }

  it('writes every line once if there is at first a link to the spool in place of the log', async () => {
    for (const kubelet of ['renames back', 'is gone too', 'renames back late'] as const) {
      for (const moment of ['before', 'halfway', 'after'] as const) {
        for (let fatal = 1; fatal <= 24; fatal++) await tell([fatal], moment, kubelet, 'a link');
      }
    }
  });

  it.each(['no log', 'a link'] as const)(
    'writes every line once after repeated kills, beginning with %s',
    async (beginning) => {
      for (let seed = 1; seed <= 60; seed++) {
        const fatals = Array.from({ length: 12 }, (_, i) => 1 + ((seed * 7919 + i * 104729) % 23));
        const moment = (['before', 'halfway', 'after'] as const)[seed % 3]!;
        for (const kubelet of ['renames back', 'is gone too', 'renames back late'] as const) {
          await tell(fatals, moment, kubelet, beginning);
        }
      }
    },
  );
});
