import { ExportResultCode } from '@opentelemetry/core';
import type { ReadableSpan, SpanExporter } from '@opentelemetry/sdk-trace-base';
import { WatchedExporter } from '../../../src/tracing/watched-exporter';

type Result = Parameters<Parameters<SpanExporter['export']>[1]>[0];

const OK: Result = { code: ExportResultCode.SUCCESS };
const spans = (count: number): ReadableSpan[] => Array<ReadableSpan>(count);

let result: Result;
let lines: [level: string, message: string, fields: unknown][];
let exporter: WatchedExporter;
let results: Result[];

beforeEach(() => {
  [result, lines, results] = [OK, [], []];
  const inner: SpanExporter = {
    export: (_spans, done) => done(result),
    shutdown: () => Promise.resolve(),
  };
  exporter = watched(inner);
});

function watched(inner: SpanExporter): WatchedExporter {
  const logger = {
    info: (message: string, fields?: unknown) => lines.push(['info', message, fields]),
    warn: (message: string, fields?: unknown) => lines.push(['warn', message, fields]),
  };
  return new WatchedExporter(inner, logger, 1_000);
}

function send(count: number, next: Result): void {
  result = next;
  exporter.export(spans(count), (told) => results.push(told));
}

const failure = (message: string, more: object = {}): Result => ({
  code: ExportResultCode.FAILED,
  error: Object.assign(new Error(message), more),
});

it('the log says once that spans are lost, once that they are accepted again, and how many were lost', () => {
  send(1, OK);
  send(2, failure('connect ECONNREFUSED 127.0.0.1:4318', { code: 'ECONNREFUSED' }));
  send(3, failure('something else'));
  send(1, OK);
  send(1, OK);
  expect(lines).toEqual([
    [
      'warn',
      'The trace collector does not accept spans; they are lost until it accepts them again',
      { error: 'connect ECONNREFUSED 127.0.0.1:4318' },
    ],
    ['info', 'The trace collector accepts spans again', { spansLost: 5 }],
  ]);
  send(1, failure('again'));
  expect(lines).toHaveLength(3);
  expect(results.map(({ code }) => code)).toEqual([0, 1, 1, 0, 0, 1]);
});

it.each([
  ['an HTTP status', failure('Forbidden', { code: 403 }), 'HTTP 403 Forbidden'],
  ['an error with a code only', failure('', { code: 'ECONNREFUSED' }), 'ECONNREFUSED'],
  ['an error without a message', failure(''), 'Error'],
  ['no error', { code: ExportResultCode.FAILED }, 'no reason given'],
])('the log names the reason: %s', (_what, failed, error) => {
  send(1, failed);
  expect(lines).toEqual([['warn', expect.any(String), { error }]]);
});

it('the exporter does not wait forever for a collector that never ends its answer, and does not count its spans twice', () => {
  jest.useFakeTimers();
  const answers: (() => void)[] = [];
  exporter = watched({
    export: (_spans, done) => answers.push(() => done(OK)),
    shutdown: () => Promise.resolve(),
  });
  send(2, OK);
  jest.advanceTimersByTime(1_000);
  expect(lines).toEqual([['warn', expect.any(String), { error: 'no complete answer within 1000 ms' }]]);
  answers.pop()?.();
  expect(results.map(({ code }) => code)).toEqual([1]);
  expect(lines).toHaveLength(1);
  send(1, OK);
  answers.pop()?.();
  expect(results.map(({ code }) => code)).toEqual([1, 0]);
  expect(jest.getTimerCount()).toBe(0);
  jest.useRealTimers();
});

it('the log says nothing about an export that fails after the exporter was closed', async () => {
  exporter.close();
  send(1, failure('cut off'));
  await exporter.shutdown();
  expect(lines).toEqual([]);
});
