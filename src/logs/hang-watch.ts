import type { WorkMarker } from './work-marker';

export interface HangTimes {
  readonly lookMs: number;
  /** So many looks that find the same piece of work mean that it hangs. */
  readonly looks: number;
}

/** A piece of work is at most some hundred KiB; 15 s are a disk that does not answer, however busy the node is. */
export const HANG_TIMES: HangTimes = { lookMs: 2_500, looks: 6 };

/** Looks at the worker's marker until it is stopped. Counts looks, not time: this process may have been stopped meanwhile. */
export class HangWatch {
  private readonly timer: NodeJS.Timeout;
  private lastTurn = -1;
  private same = 0;

  constructor(
    private readonly marker: WorkMarker,
    private readonly times: HangTimes,
    private readonly onHang: (containerId: string) => void,
  ) {
    this.timer = setInterval(() => this.look(), times.lookMs).unref();
  }

  stop(): void {
    clearInterval(this.timer);
  }

  private look(): void {
    const { turn, container } = this.marker.look();
    this.same = container !== undefined && turn === this.lastTurn ? this.same + 1 : 0;
    this.lastTurn = turn;
    if (container === undefined || this.same < this.times.looks) return;
    this.stop();
    this.onHang(container);
  }
}
