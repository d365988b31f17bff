import { DockerodeClient } from '../../../src/docker/dockerode-client';
import { openEventFeed } from '../../../src/docker/event-feed';
import { unavailable } from '../../../src/lib/errors';
import type { EngineEvent } from '../../../src/engine/types';
import { chunks, drop, EngineServer, hang, reply, stall, tear, type Answer } from '../../fakes/engine-server';

let engine: EngineServer;
let client: DockerodeClient;

beforeEach(async () => {
  engine = await EngineServer.start();
  client = new DockerodeClient({ endpoint: engine.endpoint, requestTimeoutMs: 30_000 });
});

afterEach(async () => {
  await engine.close();
});

const never = new AbortController().signal;
const EVENT = {
  Type: 'container',
  Action: 'die',
  Actor: { ID: 'ä', Attributes: { exitCode: '1' } },
  timeNano: 1,
};
const LINE = `${JSON.stringify(EVENT)}\n`;

async function consume(answer: Answer): Promise<{ events: EngineEvent[]; end: unknown }> {
  engine.answers(answer);
  const feed = await openEventFeed(client, never);
  const events: EngineEvent[] = [];
  const end: unknown = await feed.consume((event) => events.push(event)).catch((error: unknown) => error);
  return { events, end };
}

it('the event feed requests only the events that change a record', async () => {
  engine.answers(chunks());
  await openEventFeed(client, never);
  const { path, query } = await engine.exchange();
  const filters = JSON.parse(query.get('filters') ?? '') as Record<string, string[]>;
  expect(path).toBe('/events');
  expect(filters.type).toEqual(['container', 'image', 'daemon']);
  expect(filters.event).toEqual(
    expect.arrayContaining(['reload', 'create', 'start', 'die', 'oom', 'destroy', 'untag']),
  );
  expect(filters.event?.join(' ')).not.toMatch(/exec|health|attach|top|resize/);
});

it('the event feed is open as soon as the Engine has accepted the request, before any event', async () => {
  engine.answers(({ response }) => {
    response.writeHead(200);
    response.flushHeaders();
  });
  await openEventFeed(client, never);
});

it.each<[string, Answer, string]>([
  ['refuses', reply(500, { message: 'no events today' }), 'no events today'],
  ['drops the connection', drop, 'Docker Engine does not answer (ECONNRESET): is dockerd running?'],
])('the event feed does not open when the Engine %s', async (_what, answer, message) => {
  engine.answers(answer);
  await expect(openEventFeed(client, never)).rejects.toMatchObject({ message });
});

it('the event feed reports that the Engine ended the stream', async () => {
  expect(await consume(chunks(LINE, LINE))).toEqual({
    events: [EVENT, EVENT],
    end: expect.objectContaining({
      code: 'UNAVAILABLE',
      message: 'Docker Engine ended the event stream',
    }) as unknown,
  });
});

it('the event feed delivers all events of a half-closed stream', async () => {
  // The Engine's FIN arrives without the end of the chunked body.
  const { events, end } = await consume(({ response, socket }) => {
    response.writeHead(200);
    response.write(LINE, () => socket.end());
  });
  expect(events).toEqual([EVENT]);
  expect(end).toMatchObject({ code: 'UNAVAILABLE' });
});

it('the event feed ends with UNAVAILABLE when the stream is cut off', async () => {
  const { events, end } = await consume(tear(200, LINE));
  expect(events).toEqual([EVENT]);
  expect(end).toMatchObject({ code: 'UNAVAILABLE', message: expect.stringMatching(/ECONNRESET/) as string });
});

it.each([
  ['is not JSON', '<html>\n'],
  ['is cut off', LINE.slice(0, 40)],
])(
  'the event feed ends when a line %s, because a resync makes up for the missed events',
  async (_what, garbage) => {
    const { events, end } = await consume(chunks(LINE, garbage));
    expect(events).toEqual([EVENT]);
    expect(end).toMatchObject({ name: 'RuntimeError' });
  },
);

it('the event feed ends when a line never ends, without holding all of it', async () => {
  const piece = Buffer.alloc(1024 * 1024, 'x');
  let sent = 0;
  const { end } = await consume(({ response }) => {
    response.writeHead(200);
    const more = (): void => {
      for (sent++; sent < 200 && response.write(piece); sent++);
    };
    response.on('drain', more);
    more();
  });
  expect(end).toMatchObject({ code: 'INTERNAL', message: expect.stringMatching(/16777216/) as string });
  await (
    await engine.exchange()
  ).closed;
  // The client accepts 16 of these chunks, and the socket's buffers hold some more.
  expect(sent).toBeLessThan(40);
});

it('the event feed accepts events of 1 MiB, and characters that arrive byte by byte', async () => {
  const large = { ...EVENT, Actor: { ID: 'x', Attributes: { label: '€'.repeat(350_000) } } };
  const bytes = Array.from(Buffer.from(LINE), (byte) => Buffer.from([byte]));
  const { events } = await consume(chunks(`${JSON.stringify(large)}\n`, ...bytes));
  expect(events).toEqual([large, EVENT]);
});

it('the event feed ends with its signal and closes the connection', async () => {
  engine.answers(stall(200, LINE));
  const controller = new AbortController();
  const feed = await openEventFeed(client, controller.signal);
  const reason = unavailable('the session is over');
  const end = feed.consume(() => controller.abort(reason));
  await expect(end).rejects.toBe(reason);
  await (
    await engine.exchange()
  ).closed;
});

it('the event feed does not open after its signal', async () => {
  engine.answers(hang);
  const controller = new AbortController();
  const opening = openEventFeed(client, controller.signal);
  opening.catch(() => undefined);
  const { closed } = await engine.exchange();
  const reason = unavailable('enough');
  controller.abort(reason);
  await expect(opening).rejects.toBe(reason);
  await closed;
});
