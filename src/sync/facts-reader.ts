import type { DockerClient } from '../docker/client';
import { abortable, pause } from '../lib/async/abortable';
import { sharedAbortController } from '../lib/async/deadline';
import { DiskLooks } from '../node/disk/disk-looks';
import { messageOf } from '../lib/errors';
import type { Logger } from '../lib/logger';
import type { EngineFacts } from '../store/records';
import type { Store } from '../store/store';
import { findImageDirectory } from '../node/disk/file-systems';
import type { EngineInfo, EngineVersion } from '../engine/types';
import { toFacts } from '../translate/shared/engine-facts';
import type { EngineTrouble } from './engine-watch';
import { NoFactsMemory, type FactsMemory } from './facts-memory';
import type { LinkTimes } from './link-times';

/**
 * The wait before each further /info is this many times as long as the previous one, because an Engine that hangs keeps
 * every pending call.
 */
const LATER = 4;
/** How long to wait for a disk. The wait is limited, because a dead network disk never answers. */
const DISK_MS = 2_000;
/** The key under which DiskLooks counts reads and writes of the saved facts. */
const FACTS = 'the state directory';

export interface FactsReaderParts {
  readonly docker: Pick<DockerClient, 'info'>;
  readonly store: Store;
  readonly logger: Logger;
  /** Whether dockbridge can see the Engine's directories. */
  readonly localEngine: boolean;
  /** The facts that an earlier process saved; none by default. */
  readonly factsMemory?: FactsMemory;
}

export interface FactsReading {
  /** Resolves once `store.engine` describes an Engine of this version. */
  readonly usable: Promise<void>;
  /** The Engine's own answer in this connection, however late. Never rejects. */
  readonly learned: Promise<EngineFacts>;
}

interface Connection {
  readonly version: EngineVersion;
  readonly stopped: AbortSignal;
  readonly since: number;
  readonly hear: (facts: EngineFacts) => void;
  hasLearned: boolean;
}

/**
 * Reads the facts of the Engine. `/info` may take a long time (the Engine counts containers and asks all plugins) or hang.
 * A pending `/info` outlives the connection that sent it. Until an answer arrives, facts of the same version from an
 * earlier connection or an earlier process are used. Because the Engine may have lost an `/info`, another one is sent
 * after a while, at growing intervals.
 */
export class FactsReader {
  /** Bounds looks at the Engine's directories and at the saved facts, because each connection repeats them. */
  private readonly looks = new DiskLooks(2, DISK_MS);
  private asking: Promise<EngineInfo> | undefined;
  private latest: EngineInfo | undefined;
  private connection: Connection | undefined;
  private askBeside: number;
  private retryAt = 0;
  private toldOfUsers = false;

  constructor(
    private readonly parts: FactsReaderParts,
    private readonly times: Pick<LinkTimes, 'askBeside' | 'recallAfter'>,
  ) {
    this.askBeside = times.askBeside;
  }

  /** The trouble while pods are created from facts that the Engine reported earlier; undefined otherwise. */
  get trouble(): EngineTrouble | undefined {
    const { connection } = this;
    if (connection === undefined || connection.hasLearned) return undefined;
    const waited = performance.now() - connection.since;
    if (waited < this.times.askBeside) return undefined;
    return {
      isStuck: false,
      reason: 'DockerInfoHangs',
      message: `Docker Engine has not answered /info for ${Math.round(waited / 1000)} s; dockbridge uses an earlier answer and does not know newer runtimes and settings`,
    };
  }

  /**
   * Begins to read the facts for a new connection.
   * @param signal ends the wait.
   * @param stopped ends the call itself.
   */
  read(version: EngineVersion, signal: AbortSignal, stopped: AbortSignal): FactsReading {
    const { store } = this.parts;
    store.engineVersion = version.Version;
    let hear!: (facts: EngineFacts) => void;
    const learned = new Promise<EngineFacts>((resolve) => (hear = resolve));
    this.connection = { ...{ version, stopped, hear, hasLearned: false }, since: performance.now() };
    const isFirst = !isSame(store.engine, version);
    const answer = this.learn(this.connection);
    answer.catch((error: unknown) => {
      if (isSame(store.engine, version) && !stopped.aborted) this.tellOfOld(messageOf(error));
    });
    const usable = isFirst ? this.firstFacts(version, answer, signal) : Promise.resolve();
    usable.catch(() => undefined);
    return { usable, learned };
  }

  /**
   * Reads the facts again, for a caller that has reason to doubt them. Waits first for a pending `/info`, whose answer
   * may be older than that reason.
   * @param signal ends the wait.
   */
  async readAgain(signal: AbortSignal): Promise<void> {
    const { connection } = this;
    if (connection === undefined) return;
    await abortable(Promise.allSettled([this.asking]), signal);
    await abortable(this.learn(connection), signal);
  }

  /** Repeats an `/info` that failed. Called at each heartbeat. */
  retry(): void {
    const { connection } = this;
    if (connection === undefined || connection.hasLearned || this.asking !== undefined) return;
    if (performance.now() >= this.retryAt) void this.learn(connection).catch(() => undefined);
  }

  private async firstFacts(
    version: EngineVersion,
    answer: Promise<EngineFacts>,
    signal: AbortSignal,
  ): Promise<void> {
    const { store, factsMemory = new NoFactsMemory() } = this.parts;
    let failure: string | undefined;
    const first = await Promise.race([
      answer.catch((error: unknown) => void (failure = messageOf(error))),
      pause(this.times.recallAfter, signal).then(() => undefined),
    ]);
    if (first !== undefined) return;
    // If the Engine answers while the disk hangs, the wait for the disk ends.
    const recalled = await Promise.race([
      this.looks.run('Reading', FACTS, () => factsMemory.recall()).catch(() => undefined),
      new Promise<undefined>(
        (resolve) =>
          void answer.then(
            () => resolve(undefined),
            () => undefined,
          ),
      ),
    ]);
    signal.throwIfAborted();
    if (isSame(store.engine, version)) return;
    if (isSame(recalled, version)) {
      store.engine = recalled;
      store.isEngineRecalled = true;
      this.tellOfOld(failure ?? `/info has not answered within ${this.times.recallAfter} ms`);
    } else await abortable(answer, signal);
  }

  private keep(factsMemory: FactsMemory, facts: EngineFacts): void {
    this.looks
      .run('Writing', FACTS, () => factsMemory.keep(facts))
      .catch((error: unknown) => {
        this.parts.logger.debug(
          () => 'Cannot save the facts of Docker Engine',
          () => ({ error: messageOf(error) }),
        );
      });
  }

  private tellOfOld(error: string): void {
    this.parts.logger.warn('Docker Engine does not answer /info; using its earlier answer', { error });
  }

  private async learn(connection: Connection): Promise<EngineFacts> {
    const { store, localEngine, factsMemory } = this.parts;
    this.asking ??= this.ask(connection.stopped);
    const info = await this.asking;
    this.latest = info;
    const told = toFacts(connection.version, info);
    const imageDirectory = localEngine ? await findImageDirectory(told, this.looks) : told.imageDirectory;
    const facts = { ...told, imageDirectory };
    // Looking for the image directory takes time, so there may be a newer answer by now.
    if (this.latest === info) {
      store.engine = facts;
      store.isEngineRecalled = false;
      if (factsMemory !== undefined) this.keep(factsMemory, facts);
    }
    connection.hasLearned = true;
    connection.hear(facts);
    this.tellOfUsers(facts);
    return facts;
  }

  /**
   * Warns about userns-remap. Pods use the node's user ids, as CRI requires, while image files of such an Engine belong
   * to other ids.
   */
  private tellOfUsers({ securityOptions }: EngineFacts): void {
    if (this.toldOfUsers || !securityOptions.includes('name=userns')) return;
    this.toldOfUsers = true;
    this.parts.logger.warn(
      'Docker Engine uses userns-remap, and pods run without it: files of images belong to the remapped users, users other than root may lack rights on them, and set-user-ID programs do not work. Remove userns-remap from daemon.json',
    );
  }

  private async ask(stopped: AbortSignal): Promise<EngineInfo> {
    const answered = sharedAbortController();
    const onStop = (): void => answered.abort(stopped.reason);
    stopped.addEventListener('abort', onStop, { once: true });
    try {
      const info = await this.firstAnswer(answered.signal);
      this.askBeside = this.times.askBeside;
      return info;
    } finally {
      this.asking = undefined;
      this.retryAt = performance.now() + this.askBeside;
      stopped.removeEventListener('abort', onStop);
      answered.abort();
    }
  }

  private async firstAnswer(signal: AbortSignal): Promise<EngineInfo> {
    const questions: Promise<EngineInfo>[] = [];
    for (;;) {
      questions.push(this.parts.docker.info({ signal }));
      const late = pause(this.askBeside, signal).then(() => undefined);
      const info = await Promise.race([...questions, late]);
      if (info !== undefined) return info;
      signal.throwIfAborted();
      this.askBeside *= LATER;
    }
  }
}

function isSame(
  facts: EngineFacts | undefined,
  { Version, ApiVersion }: EngineVersion,
): facts is EngineFacts {
  return facts?.engineVersion === Version && facts.apiVersion === ApiVersion;
}
