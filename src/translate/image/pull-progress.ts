import type { EngineProgress } from '../../engine/types';

/** Statuses of a downloaded layer on which the Engine still works. */
const AT_WORK = new Set(['Verifying Checksum', 'Download complete', 'Extracting']);
const DONE = new Set(['Pull complete', 'Already exists']);
const HAVE_COME = new Set([...AT_WORK, ...DONE]);
/** The status of a layer that waits for its turn, or for its first byte. */
const QUEUED = 'Waiting';
/** A status of the image, whose id is the tag, and not of a layer. */
const ABOUT_THE_IMAGE = 'Pulling from';

/** The progress of a pull, from its messages. */
export class PullProgress {
  /** The last status and byte count of each layer. */
  private readonly layers = new Map<string, { readonly status: string; readonly bytes: number }>();
  private lastWord = '';

  /** @returns whether a byte or a status has moved; some Engines repeat themselves while nothing happens. */
  note({ id = '', status = '', progressDetail }: EngineProgress): boolean {
    if (id === '' || status.startsWith(ABOUT_THE_IMAGE)) {
      const moved = status !== this.lastWord;
      this.lastWord = status;
      return moved;
    }
    const bytes = progressDetail?.current ?? 0;
    const before = this.layers.get(id);
    this.layers.set(id, { status, bytes });
    return before?.status !== status || before.bytes !== bytes;
  }

  /** Whether all layers are downloaded and the Engine unpacks them, which may produce no message for minutes. */
  get isUnpacking(): boolean {
    return this.layersAre((status) => AT_WORK.has(status), DONE);
  }

  /** Whether all layers that are not downloaded wait behind those of other pulls. */
  get isQueued(): boolean {
    return this.layersAre((status) => status === QUEUED, HAVE_COME);
  }

  /** Whether some layers are as `wanted`, and all others in one of these states. */
  private layersAre(wanted: (status: string) => boolean, others: ReadonlySet<string>): boolean {
    const all = [...this.layers.values()];
    return (
      all.some(({ status }) => wanted(status)) &&
      all.every(({ status }) => wanted(status) || others.has(status))
    );
  }

  /** For the text of an error: `2 of 5 layers are complete`. */
  describe(): string {
    if (this.layers.size === 0) return 'no layer was begun';
    const done = [...this.layers.values()].filter(({ status }) => DONE.has(status)).length;
    return `${done} of ${this.layers.size} layers were complete`;
  }
}
