import { Demultiplexer, type StreamKind } from '../../docker/demux';

/** kubelet takes messages of 16 MiB at most; the rest of an ExecSync answer needs a few bytes. */
const MESSAGE_BYTES = 16 * 1024 * 1024 - 1024;

/** stdout and stderr of a command, together at most what one CRI message can carry; what is beyond is dropped. */
export class CapturedOutput {
  private readonly chunks: Record<StreamKind, Buffer[]> = { 1: [], 2: [] };
  private room = MESSAGE_BYTES;
  private readonly demultiplexer = new Demultiplexer((kind, data) => this.keep(kind, data));

  write(chunk: Buffer): void {
    this.demultiplexer.write(chunk);
  }

  get stdout(): Buffer {
    return Buffer.concat(this.chunks[1]);
  }

  get stderr(): Buffer {
    return Buffer.concat(this.chunks[2]);
  }

  private keep(kind: StreamKind, data: Buffer): void {
    if (this.room === 0) return;
    const kept = data.subarray(0, this.room);
    this.room -= kept.length;
    // A copy: a slice of one byte would hold on to the whole chunk it was cut from.
    this.chunks[kind].push(Buffer.from(kept));
  }
}
