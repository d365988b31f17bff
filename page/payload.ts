import type { PageCall } from '../src/harness/html/page-data';

/** The fields of a tape's line that the page reads. */
export interface PayloadLine {
  readonly t: number;
  readonly request?: unknown;
  readonly response?: unknown;
  readonly message?: unknown;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly details_bin?: string;
  readonly fault?: string;
  readonly rule?: number;
}

/** A block of a run's lines, as text. */
export interface Block {
  /** The number of the first line. */
  readonly first: number;
  text(): string;
}

/** The messages of one run. They stay text until a call is opened. */
export class Payload {
  /** The block that was split last. It is kept, because calls that are opened one after the other are often in the same block. */
  #split: { readonly block: Block; readonly lines: readonly string[] } | undefined;

  /** @param blocks in order of their lines. */
  constructor(private readonly blocks: readonly Block[]) {}

  linesOf(call: PageCall): readonly PayloadLine[] {
    return call.lines.flatMap((number) => {
      const text = this.#line(number);
      return text === undefined ? [] : [JSON.parse(text) as PayloadLine];
    });
  }

  /** Returns the numbers of the lines whose JSON contains the text, in upper or lower case. The text is first escaped as in JSON. */
  find(text: string): ReadonlySet<number> {
    const sought = JSON.stringify(text)
      .slice(1, -1)
      .replaceAll('<', String.raw`\u003c`);
    const expression = new RegExp(sought.replace(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`), 'gi');
    const found = new Set<number>();
    for (const block of this.blocks) {
      const whole = block.text();
      expression.lastIndex = 0;
      let number = block.first;
      let from = 0;
      for (let match = expression.exec(whole); match !== null; match = expression.exec(whole)) {
        for (
          let end = whole.indexOf('\n', from);
          end >= 0 && end < match.index;
          end = whole.indexOf('\n', from)
        ) {
          number++;
          from = end + 1;
        }
        found.add(number);
        // The line is found, so the search continues after it.
        const end = whole.indexOf('\n', match.index);
        if (end < 0) break;
        expression.lastIndex = end;
      }
    }
    return found;
  }

  #line(number: number): string | undefined {
    const block = this.blocks.findLast(({ first }) => first <= number);
    if (block === undefined) return undefined;
    if (this.#split?.block !== block) this.#split = { block, lines: block.text().split('\n') };
    return this.#split.lines[number - block.first];
  }
}
