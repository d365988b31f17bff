import { setTimeout as pause } from 'node:timers/promises';
import { hasCode, internal } from '../../../lib/errors';
import type { content } from '../../../proto/containerd';
import { encodeWrite } from './write-request';
import { failure, type ContainerdConnection, type Place, type WriteStream } from './connection';

/** Values of containerd's WriteAction. */
const [STAT, WRITE, COMMIT] = [0, 1, 2] as const;
/** How many requests may be without an answer. Together with the size of a request, this bounds the memory of an upload. */
const WINDOW = 4;
/** How long to wait for the upload of a process that was killed a moment ago to release its name. */
const LOCKED_MS = 10_000;
const RETRY_MS = 200;

export interface UploadOf {
  /** The name under which containerd keeps the upload. A later upload with the same name resumes it. */
  readonly ref: string;
  /** '' when the digest is unknown. */
  readonly digest: string;
  readonly size: number;
}

/** One blob on its way into containerd's content store. A request does not wait for the answers to those before it. */
export class Upload {
  private readonly answers: AsyncIterator<content.WriteContentResponse>;
  private waiting = 0;
  private at = 0;

  private constructor(
    private readonly connection: ContainerdConnection,
    private readonly stream: WriteStream,
    private readonly what: UploadOf,
    private readonly place: Place,
  ) {
    this.answers = (stream as AsyncIterable<content.WriteContentResponse>)[Symbol.asyncIterator]();
  }

  /**
   * Begins or resumes an upload.
   * @returns undefined when the namespace has the blob already; the lease of `place` then holds it.
   */
  static async open(
    connection: ContainerdConnection,
    what: UploadOf,
    place: Place,
    signal?: AbortSignal,
  ): Promise<Upload | undefined> {
    for (const end = Date.now() + LOCKED_MS; ;) {
      const upload = new Upload(connection, connection.write(place), what, place);
      try {
        await upload.begin();
        return upload;
      } catch (error) {
        upload.close();
        if (hasCode(error, 'ALREADY_EXISTS')) return undefined;
        // UNAVAILABLE also means that another upload holds the name.
        if (!hasCode(error, 'UNAVAILABLE') || Date.now() > end) throw error;
        await pause(RETRY_MS, undefined, { signal });
      }
    }
  }

  /** How many bytes the store has. If an upload begins with the blob's size, no bytes need to be sent. */
  get offset(): number {
    return this.at;
  }

  /** Sends the next bytes. Resolves when there is room for more. */
  async write(chunks: readonly Uint8Array[]): Promise<void> {
    this.send({ action: WRITE, offset: this.at }, chunks);
    for (const { length } of chunks) this.at += length;
    while (this.waiting > WINDOW) await this.answer();
  }

  /**
   * Makes the content available. containerd first compares digest and size with those that `open` got.
   * @returns the digest.
   * @throws when they differ. The upload is then removed, so that the next one begins anew.
   */
  async commit(labels: Readonly<Record<string, string>>): Promise<string> {
    const { digest, size } = this.what;
    try {
      this.send({ action: COMMIT, offset: this.at, total: size, expected: digest, labels });
      let answer: content.WriteContentResponse | undefined;
      while (this.waiting > 0) answer = await this.answer();
      return answer?.digest ?? digest;
    } catch (error) {
      // Somebody else has committed the same content, for instance a pull.
      if (hasCode(error, 'ALREADY_EXISTS') && digest !== '') return digest;
      this.close();
      if (hasCode(error, 'FAILED_PRECONDITION')) await this.discard();
      throw error;
    } finally {
      this.close();
    }
  }

  /** Ends the call. What containerd has received stays there until the lease ends, so that the upload can be resumed. */
  close(): void {
    this.stream.end();
    this.stream.cancel();
  }

  private async discard(): Promise<void> {
    // The error of the commit is the one to report.
    await this.connection.call('abortUpload', { ref: this.what.ref }, this.place).catch(() => undefined);
  }

  private async begin(): Promise<void> {
    const { ref, digest, size } = this.what;
    this.send({ action: STAT, ref, total: size, expected: digest });
    const { offset } = await this.answer();
    this.at = Number(offset);
  }

  private send(request: content.IWriteContentRequest, chunks: readonly Uint8Array[] = []): void {
    this.waiting++;
    this.stream.write(encodeWrite(request, chunks));
  }

  private async answer(): Promise<content.WriteContentResponse> {
    try {
      const result = await this.answers.next();
      if (result.done === true) throw internal('containerd ended an upload early');
      this.waiting--;
      return result.value;
    } catch (error) {
      throw failure(error);
    }
  }
}
