import { Demultiplexer, type StreamKind } from '../../docker/demux';

/** kubelet takes messages of 16 MiB at most; the rest of an ExecSync answer needs a few bytes. */
const MESSAGE_BYTES = 16 * 1024 * 1024 - 1024;

const FIRST_BYTES = 4 * 1024;

/** Grows by doubling: a command that writes single bytes must not cost an object each. */
class GrowingBuffer {
  private bytes = Buffer.allocUnsafe(0);
  private used = 0;

  append(data: Buffer): void {
    const needed = this.used + data.length;
    if (needed > this.bytes.length) {
      const grown = Buffer.allocUnsafe(Math.max(needed, this.bytes.length * 2, FIRST_BYTES));
      this.bytes.copy(grown, 0, 0, this.used);
      this.bytes = grown;
    }
    this.used += data.copy(this.bytes, this.used);
  }

  get content(): Buffer {
    return this.bytes.subarray(0, this.used);
  }
}

/** stdout and stderr of a command, together at most what one CRI message can carry; what is beyond is dropped. */
export class CapturedOutput {
  private readonly streams: Record<StreamKind, GrowingBuffer> = {
    1: new GrowingBuffer(),
    2: new GrowingBuffer(),
  };
  private room = MESSAGE_BYTES;
  private readonly demultiplexer = new Demultiplexer((kind, data) => {
    const kept = data.subarray(0, this.room);
    this.room -= kept.length;
    this.streams[kind].append(kept);
  });

  write(chunk: Buffer): void {
    this.demultiplexer.write(chunk);
  }

  get stdout(): Buffer {
    return this.streams[1].content;
  }

  get stderr(): Buffer {
    return this.streams[2].content;
  }
}
