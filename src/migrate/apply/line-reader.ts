import { StringDecoder } from 'node:string_decoder';

/** A longer line is shown in parts. */
const MAX_LINE = 4_096;
/** How much of the output is kept at least, in characters. */
const MAX_KEPT = 1 << 20;

/** Divides output into lines, and keeps the end of it. The lines of two streams are never mixed. */
export class LineReader {
  private readonly open = new Map<object, { readonly decoder: StringDecoder; rest: string }>();
  private kept = '';

  constructor(private readonly onLine: ((line: string) => void) | undefined) {}

  /** The end of the output. */
  get tail(): string {
    return this.kept;
  }

  add(stream: object, bytes: Buffer): void {
    const state = this.open.get(stream) ?? { decoder: new StringDecoder('utf8'), rest: '' };
    this.open.set(stream, state);
    const lines = (state.rest + state.decoder.write(bytes)).split('\n');
    state.rest = lines.pop() ?? '';
    for (const line of lines) this.tell(line);
    while (state.rest.length > MAX_LINE) {
      this.tell(state.rest.slice(0, MAX_LINE));
      state.rest = state.rest.slice(MAX_LINE);
    }
  }

  /** Ends lines that have no end. */
  end(): void {
    for (const { rest, decoder } of this.open.values()) {
      const last = rest + decoder.end();
      if (last !== '') this.tell(last);
    }
    this.open.clear();
  }

  private tell(line: string): void {
    this.kept += `${line}\n`;
    // Not with every line, because each cut copies the text.
    if (this.kept.length > 2 * MAX_KEPT) this.kept = this.kept.slice(-MAX_KEPT);
    this.onLine?.(line);
  }
}
