/** The bytes of a message for the tape; only their length if the message is too long. */
export interface TapeBytes {
  readonly length: number;
  readonly compressed: boolean;
  readonly bytes?: Uint8Array;
}

interface OfCall {
  readonly n: number;
  /** Seconds since the recording began. */
  readonly t: number;
  readonly path: string;
}

/** An entry that the proxy sends to the tape's thread. Messages are not decoded yet, because calls would have to wait for this. */
export type Entry =
  | (OfCall & {
      readonly kind: 'begin';
      readonly deadlineMs?: number;
      readonly metadata: Readonly<Record<string, string>>;
      readonly request?: TapeBytes;
    })
  | (OfCall & { readonly kind: 'message'; readonly i: number; readonly message: TapeBytes })
  | (OfCall & {
      readonly kind: 'end';
      readonly status: string;
      readonly by?: 'client' | 'runtime' | 'proxy';
      readonly details?: string;
      readonly detailsBin?: string;
      readonly ms: number;
      readonly response?: TapeBytes;
    })
  | {
      readonly kind: 'fault';
      readonly n?: number;
      readonly t: number;
      readonly path?: string;
      readonly fault: string;
      readonly rule: number;
    }
  /** Bytes that passed on connections, in the form of `packed` (src/harness/wire). The thread finds the calls in them. */
  | { readonly kind: 'wire'; readonly t: number; readonly bytes: Uint8Array }
  | { readonly kind: 'lost'; readonly t: number; readonly lost: number; readonly why?: string }
  | { readonly kind: 'finish'; readonly t: number; readonly calls: number; readonly lost: number };

/** An entry that becomes one line of a tape. */
export type LineEntry = Exclude<Entry, { readonly kind: 'wire' }>;

/** The approximate memory of an object without its bytes. */
export const ENTRY_BYTES = 500;

/** Returns the approximate memory of an entry: its bytes, and ENTRY_BYTES for the object. */
export function weightOf(entry: Entry): number {
  if (entry.kind === 'wire') return entry.bytes.length + ENTRY_BYTES;
  const bytes = [
    entry.kind === 'begin' ? entry.request : undefined,
    entry.kind === 'message' ? entry.message : undefined,
    entry.kind === 'end' ? entry.response : undefined,
  ].reduce((sum, one) => sum + (one?.bytes?.length ?? 0), 0);
  return bytes + ENTRY_BYTES;
}

/** Returns whether an entry is about calls or a fault, and not about the tape itself. */
export function isOwnLine({ kind }: Entry): boolean {
  return kind !== 'lost' && kind !== 'finish';
}
