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

/** Each further question waits this much longer than the one before: what hangs keeps all of them. */
const LATER = 4;
/** A dead network disk never answers. */
const DISK_MS = 2_000;
/** What was remembered of the Engine, as a key. */
const FACTS = 'the state directory';

export interface FactsReaderParts {
  readonly docker: Pick<DockerClient, 'info'>;
  readonly store: Store;
  readonly logger: Logger;
  /** Whether the Engine's directories are ours to see. */
  readonly localEngine: boolean;
  /** What an earlier process was told; none by default. */
  readonly factsMemory?: FactsMemory;
}

export interface FactsReading {
  /** Resolves once `store.engine` is about an Engine of this version. */
  readonly usable: Promise<void>;
  /** What the Engine answers in this connection, however late; never rejects. */
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
 * Reads what the Engine is. `/info` may take long (it counts, and asks all plugins) or hang. Questions outlive the
 * connection that asked them, and facts of the same version serve until an answer is there: those of an earlier
 * connection, or of an earlier process. An Engine that lost a question is asked once more beside it, one that hangs ever
 * more rarely, for it keeps all of them.
 */
export class FactsReader {
  /** At the Engine's directories and at the memory: each connection looks anew. */
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

  /** While pods are made by what the Engine said in an earlier connection. */
  get trouble(): EngineTrouble | undefined {
    const { connection } = this;
    if (connection === undefined || connection.hasLearned) return undefined;
    const waited = performance.now() - connection.since;
    if (waited < this.times.askBeside) return undefined;
    return {
      isStuck: false,
      reason: 'DockerInfoHangs',
      message: `Docker Engine has not said for ${Math.round(waited / 1000)} s what it is (/info): until it does, what it said before counts, and runtimes or settings that are new since are not known`,
    };
  }

  /**
   * @param signal ends the wait.
   * @param stopped ends the question.
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
   * Asks again, for somebody who has reason to doubt what was said: an answer that is under way may be older than that.
   * @param signal ends the wait.
   */
  async readAgain(signal: AbortSignal): Promise<void> {
    const { connection } = this;
    if (connection === undefined) return;
    await abortable(Promise.allSettled([this.asking]), signal);
    await abortable(this.learn(connection), signal);
  }

  /** At each heartbeat: a question that failed is asked again. */
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
    // An answer that comes while the disk hangs ends the wait.
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
        this.parts.logger.debug(() => `What the Engine is cannot be remembered: ${messageOf(error)}`);
      });
  }

  private tellOfOld(error: string): void {
    this.parts.logger.warn('Docker Engine does not say what it is; what it said before still counts', {
      error,
    });
  }

  private async learn(connection: Connection): Promise<EngineFacts> {
    const { store, localEngine, factsMemory } = this.parts;
    this.asking ??= this.ask(connection.stopped);
    const info = await this.asking;
    this.latest = info;
    const told = toFacts(connection.version, info);
    const imageDirectory = localEngine ? await findImageDirectory(told, this.looks) : told.imageDirectory;
    const facts = { ...told, imageDirectory };
    // Looking took time: there may be a newer answer.
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

  /** Pods have the node's users, as CRI says, and such an Engine has images for others. */
  private tellOfUsers({ securityOptions }: EngineFacts): void {
    if (this.toldOfUsers || !securityOptions.includes('name=userns')) return;
    this.toldOfUsers = true;
    this.parts.logger.warn(
      'Docker Engine has userns-remap: files of images belong to the remapped users, and pods run without them. Users other than root may lack rights on files of their image, and set-user-ID programs do not work: remove userns-remap from daemon.json',
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
