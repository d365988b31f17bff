import { open, readFile, rm, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import type { TapeLine } from '../tape/format';
import type { PageData, PageDifference, PageRun } from './page-data';
import type { PageSource } from './page-run';

/** The page without its data, which the build makes of page/ (scripts/tape-page.mjs). It stands beside the program's code. */
const TEMPLATE = join(__dirname, 'tape-page.template');
/** Where the data goes in the template. */
const DATA_GOES_HERE = '<!-- data -->';
/** The page parses a block when it shows a call in it; longer ones make that slow, shorter ones make many elements. */
const BLOCK_LENGTH = 512 * 1024;
/** Only its owner may read it, as a tape. */
const MODE = 0o600;

/**
 * Writes one self-contained page of one run, or of two and what differs. Lines are written as they are read.
 * @param template the page without its data, if not the built one.
 * @throws the system's error, also when the file exists; nothing is left of it then but what was there before.
 */
export async function writePage(
  file: string,
  sources: readonly PageSource[],
  differences: readonly PageDifference[] = [],
  template: string = TEMPLATE,
): Promise<void> {
  const [before = '', after = ''] = (await readFile(template, 'utf8')).split(DATA_GOES_HERE);
  const handle = await open(file, 'wx', MODE);
  try {
    await handle.appendFile(before);
    const runs: PageRun[] = [];
    for (const [at, source] of sources.entries()) runs.push(await writePayload(handle, source, at));
    const data: PageData = { runs, differences };
    await handle.appendFile(element('application/json', 'id="index"', JSON.stringify(data)));
    await handle.appendFile(after);
    await handle.close();
  } catch (error) {
    await handle.close().catch(() => undefined);
    await rm(file, { force: true });
    throw error;
  }
}

/** Writes the lines of the calls that are to be shown, as elements of many lines. */
async function writePayload(handle: FileHandle, source: PageSource, at: number): Promise<PageRun> {
  const linesOf = new Map<number, number[]>(source.calls.map(({ n }) => [n, []]));
  let count = 0;
  let block: string[] = [];
  let length = 0;
  const flush = async (): Promise<void> => {
    if (block.length === 0) return;
    const first = `data-run="${at}" data-first="${count - block.length}"`;
    await handle.appendFile(element('application/x-ndjson', first, block.join('\n')));
    block = [];
    length = 0;
  };
  for await (const line of source.lines()) {
    const lines = linesOf.get(numberOf(line) ?? NaN);
    if (lines === undefined) continue;
    lines.push(count++);
    const text = JSON.stringify(line);
    block.push(text);
    length += text.length;
    if (length > BLOCK_LENGTH) await flush();
  }
  await flush();
  return {
    ...source.run,
    calls: source.calls.map((call) => ({ ...call, lines: linesOf.get(call.n) ?? [] })),
  };
}

function numberOf(line: TapeLine): number | undefined {
  return 'n' in line ? line.n : undefined;
}

/** `<` stands only in texts of JSON, so it can be written as an escape; then nothing in it ends the element, or begins a comment. */
function element(type: string, attributes: string, json: string): string {
  return `<script type="${type}" ${attributes}>${json.replaceAll('<', String.raw`\u003c`)}</script>\n`;
}
