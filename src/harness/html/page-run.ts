import { stat } from 'node:fs/promises';
import { invalidArgument } from '../../lib/errors';
import type { Observation } from '../observation';
import { shown } from '../show/calls';
import { filtered, type CallFilter, type ShownCall } from '../show/shown-call';
import type { TapeHeader, TapeLine } from '../tape/format';
import { TapeReader } from '../tape/reader';
import { TapeCalls } from '../tape/tape-calls';
import { Lives } from './page-lives';
import type { PageRun } from './page-data';

/** The source of a run that a page shows. The messages of a tape are not kept in memory, but read line by line when the page is written. */
export interface PageSource {
  readonly run: Omit<PageRun, 'calls'>;
  readonly calls: readonly ShownCall[];
  /** Returns the lines of these and other calls. It can be called more than once. */
  lines(): AsyncIterable<TapeLine> | Iterable<TapeLine>;
}

/**
 * Reads a tape: the calls that pass the filter, and all states and events.
 * @throws INVALID_ARGUMENT if `file` is not a regular file, because the tape is read twice; otherwise the errors of `readCalls`.
 */
export async function tapeSource(file: string, filter: CallFilter): Promise<PageSource> {
  if (!(await stat(file)).isFile())
    throw invalidArgument(file, 'a page can only be made from a regular file');
  const reader = new TapeReader(file);
  let head!: TapeHeader;
  const assembled = new Assembled();
  for await (const line of reader.lines((first) => (head = first))) assembled.add(line);
  const { endpoint, runtime_name: name = '', runtime_version: version = '' } = head.upstream;
  return {
    run: {
      ...{ source: file, runtime: { name, version }, endpoint, recorded: head.recorded },
      problems: reader.problems.map(({ line, why }) => `line ${line} ${why}`),
      ...assembled.rest(),
    },
    calls: filtered(assembled.calls(), filter),
    lines: () => new TapeReader(file).lines(),
  };
}

/** Returns the source for an observation that is not on a tape. */
export function observationSource({ source, runtime, calls }: Observation): PageSource {
  const assembled = new Assembled();
  const lines = function* (): Generator<TapeLine> {
    for (const { n, t, ms, method, request, status, details, response, messages = [] } of calls) {
      const end = t + ms / 1000;
      yield { n, t, method, api: 'v1', request };
      for (const [i, message] of messages.entries()) yield { n, t: end, method, i, message };
      yield {
        ...{ n, t: end, method, status, ms },
        ...(details === undefined ? {} : { details }),
        ...(response === undefined ? {} : { response }),
      };
    }
  };
  for (const line of lines()) assembled.add(line);
  return { run: { source, runtime, problems: [], ...assembled.rest() }, calls: assembled.calls(), lines };
}

class Assembled {
  readonly #calls = new TapeCalls('drop');
  readonly #lives = new Lives();
  #end = 0;

  add(line: TapeLine): void {
    this.#calls.add(line);
    this.#lives.add(line);
    this.#end = Math.max(this.#end, line.t);
  }

  calls(): readonly ShownCall[] {
    return shown(this.#calls);
  }

  rest(): Pick<PageRun, 'end' | 'lost' | 'states' | 'events'> {
    const { subjects, lost } = this.#calls;
    return {
      end: this.#end,
      lost,
      states: this.#lives.states(subjects),
      events: this.#lives.events(subjects),
    };
  }
}
