import { cri } from '../../../src/proto';
import { encodeChunks } from '../../../src/proto/chunks';

const containers = Array.from({ length: 100 }, (_, at) => ({
  id: `c${at}`,
  labels: { filler: 'x'.repeat(at) },
}));

/** What a client makes of the stream. */
function decodedIds(chunks: Uint8Array[]): string[][] {
  return chunks.map((chunk) =>
    cri.StreamContainersResponse.decode(chunk).containers.map(({ id }) => String(id)),
  );
}

describe('encodeChunks', () => {
  it('says the same as the list, in order, in messages of bounded size', () => {
    const chunks = [...encodeChunks(cri.Container, containers, 500)];
    expect(decodedIds(chunks).flat()).toEqual(containers.map(({ id }) => id));
    expect(chunks.length).toBeGreaterThan(10);
    // The element that fills a message is its last.
    const largest = cri.Container.encode(containers[99]!).finish().length + 4;
    expect(Math.max(...chunks.map(({ length }) => length))).toBeLessThanOrEqual(500 + largest);
  });

  it('keeps every field', () => {
    const [chunk] = [...encodeChunks(cri.Container, [containers[7]!])];
    const whole = cri.StreamContainersResponse.encode({ containers: [containers[7]!] }).finish();
    expect(Buffer.from(chunk!)).toEqual(Buffer.from(whole));
  });

  it('has one element in a message at least', () => {
    const chunks = [...encodeChunks(cri.Container, containers.slice(0, 3), 1)];
    expect(decodedIds(chunks)).toEqual([['c0'], ['c1'], ['c2']]);
  });

  it('has no message for an empty list', () => {
    expect([...encodeChunks(cri.Container, [])]).toEqual([]);
  });

  it('makes elements as they are asked for', () => {
    let made = 0;
    function* counted() {
      for (const container of containers) {
        made++;
        yield container;
      }
    }
    const chunks = encodeChunks(cri.Container, counted(), 1);
    chunks.next();
    expect(made).toBe(1);
  });
});

it.each([
  'StreamPodSandboxesResponse',
  'StreamContainersResponse',
  'StreamContainerStatsResponse',
  'StreamPodSandboxStatsResponse',
  'StreamPodSandboxMetricsResponse',
  'StreamImagesResponse',
] as const)('%s holds its list in field 1', (name) => {
  const message = cri[name] as unknown as { decode(bytes: Uint8Array): Record<string, unknown> };
  // Field 1, length 0: one element with nothing in it.
  const decoded = message.decode(Uint8Array.from([0x0a, 0]));
  expect(Object.values(decoded).filter((value) => Array.isArray(value) && value.length === 1)).toHaveLength(
    1,
  );
});
