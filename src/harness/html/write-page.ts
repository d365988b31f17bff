import { open, readFile, rm, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import type { TapeLine } from '../tape/format';
import type { PageData, PageDifference, PageRun } from './page-data';
import type { PageSource } from './page-run';

/** The page without its data. The build creates it from page/ (scripts/tape-page.mjs), next to the compiled program. */
const TEMPLATE = join(__dirname, 'tape-page.template');
/** The text in the template that the data replaces. */
const DATA_GOES_HERE = '<!-- data -->';
/** The page parses a whole block to show one call in it. Longer blocks make this slow, and shorter blocks need more elements. */
const BLOCK_LENGTH = 512 * 1024;
/** Only the owner may read a page, because it contains the messages of a tape. */
const MODE = 0o600;

/**
 * Writes a self-contained page about one run, or about two runs and their differences. Lines are written as they are read.
 * @param template the page without its data, by default the one from the build.
 * @throws the system's error, also if the file exists. An existing file stays as it is, and no incomplete file is left behind.
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

/** Writes the lines of the selected calls in blocks, each of which is an element with many lines. */
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

/** Returns an element with JSON. `<` is escaped, so that no text ends the element or begins a comment; JSON has `<` only in strings. */
function element(type: string, attributes: string, json: string): string {
  return `<script type="${type}" ${attributes}>${json.replaceAll('<', String.raw`\u003c`)}</script>\n`;
}
