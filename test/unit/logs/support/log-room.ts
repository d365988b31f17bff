import { once } from 'node:events';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { LogFields, Logger } from '../../../../src/lib/logger';
import { LogCopier, type LogCopierOptions } from '../../../../src/logs/log-copier';
import { FakeDockerLog, type RotationOptions } from './fake-docker-log';

export interface CriLine {
  readonly time: string;
  readonly stream: string;
  readonly tag: string;
  readonly text: string;
}

const LINE = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z) (stdout|stderr) ([FP]) (.*)$/s;

/** Returns the lines of a CRI log. @throws on text that is not a complete CRI line. */
export function parseCri(content: string): CriLine[] {
  if (content === '') return [];
  if (!content.endsWith('\n')) throw new Error(`half line: ${content.slice(-80)}`);
  return content
    .slice(0, -1)
    .split('\n')
    .map((line) => {
      const [, time, stream, tag, text] = LINE.exec(line) ?? [];
      if (time === undefined) throw new Error(`not a CRI line: ${line.slice(0, 120)}`);
      return { time, stream: stream!, tag: tag!, text: text! };
    });
}

/** A temporary place with Docker's directory, kubelet's directory and ours. */
export class LogRoom {
  readonly root = fs.mkdtempSync(join(tmpdir(), 'dockbridge-logs-'));
  readonly spoolPath = join(this.root, 'docker/c1/c1-json.log');
  readonly logPath = join(this.root, 'pods/ns_pod_uid/app/0.log');
  readonly stateDir = join(this.root, 'state');
  readonly source = { containerId: 'c1', spoolPath: this.spoolPath, logPath: this.logPath };
  readonly messages: { level: string; message: string; fields: LogFields | undefined }[] = [];
  private readonly open: LogCopier[] = [];

  constructor() {
    fs.mkdirSync(join(this.root, 'docker/c1'), { recursive: true });
  }

  docker(options: RotationOptions = {}): FakeDockerLog {
    return new FakeDockerLog(this.spoolPath, options);
  }

  logs(options: Partial<LogCopierOptions> = {}): LogCopier {
    const logs = new LogCopier({ stateDir: this.stateDir, logger: this.logger(), ...options });
    this.open.push(logs);
    return logs;
  }

  logger(): Logger {
    const at = (level: string) => (message: string, fields?: LogFields) =>
      void this.messages.push({ level, message, fields });
    const none = (): void => undefined;
    return {
      error: at('error'),
      warn: at('warn'),
      info: at('info'),
      debug: none,
      trace: none,
      with: () => this.logger(),
    };
  }

  /** Resolves when the CRI log satisfies the condition. Changes of kubelet's directory trigger the check. */
  async until(condition: () => boolean): Promise<void> {
    const changed = fs.watch(dirname(this.logPath));
    try {
      while (!condition()) await once(changed, 'change');
    } finally {
      changed.close();
    }
  }

  content(path = this.logPath): string {
    return fs.readFileSync(path, 'latin1');
  }

  lines(path = this.logPath): CriLine[] {
    return parseCri(this.content(path));
  }

  texts(path = this.logPath): string[] {
    return this.lines(path).map((line) => line.text);
  }

  /** Returns all records in the Engine's files, in no particular order. */
  spooled(): string[] {
    const directory = dirname(this.spoolPath);
    return fs.readdirSync(directory).flatMap((name) => {
      const lines = fs.readFileSync(join(directory, name), 'latin1').split('\n');
      return lines.slice(0, -1);
    });
  }

  /** Returns the files in the room that this process has open, including those of the fake Engine. */
  openFiles(): string[] {
    const targets = fs.readdirSync('/proc/self/fd').map((fd) => {
      try {
        return fs.readlinkSync(`/proc/self/fd/${fd}`);
      } catch {
        // The descriptor was closed meanwhile.
        return '';
      }
    });
    return targets.filter((path) => path.startsWith(`${this.root}/`));
  }

  async dispose(): Promise<void> {
    for (const logs of this.open) await logs.close();
    fs.rmSync(this.root, { recursive: true, force: true });
  }
}

/** Makes a room for each test of the surrounding block. Registers hooks. */
export function withLogRoom(enter: (room: LogRoom) => void): void {
  let room: LogRoom;
  beforeEach(() => {
    room = new LogRoom();
    enter(room);
  });
  afterEach(() => room.dispose());
}
