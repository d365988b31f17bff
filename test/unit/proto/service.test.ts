import Long from 'long';
import { cri } from '../../../src/proto';
import {
  ALPHA_IMAGE_SERVICE,
  ALPHA_RUNTIME_SERVICE,
  encodeChunks,
  IMAGE_SERVICE,
  MalformedMessage,
  RUNTIME_SERVICE,
} from '../../../src/proto/service';
import { readTable } from './cri-table';

const methods = readTable().filter(({ kind }) => kind === 'method');
const namesOf = (service: string) =>
  methods.filter(({ parent }) => parent === service).map(({ name }) => name);
const minor = (since: string) => (since === '' ? Infinity : Number(since.split('.')[1]));

type Signature = Pick<(typeof RUNTIME_SERVICE)['Version'], 'path' | 'requestStream' | 'responseStream'>;

describe('service tables', () => {
  const tables: [string, Record<string, Signature>][] = [
    ['runtime.v1.RuntimeService', RUNTIME_SERVICE],
    ['runtime.v1.ImageService', IMAGE_SERVICE],
    ['runtime.v1alpha2.RuntimeService', ALPHA_RUNTIME_SERVICE],
    ['runtime.v1alpha2.ImageService', ALPHA_IMAGE_SERVICE],
  ];

  it.each(tables)('have the paths and streaming of the API table: %s', (service, table) => {
    for (const [name, method] of Object.entries(table)) {
      const row = methods.find((one) => one.name === name && service.endsWith(one.parent))!;
      expect(method.path).toBe(`/${service}/${name}`);
      expect(method.requestStream).toBe(false);
      expect(method.responseStream).toBe(row.options.includes('server_stream=yes'));
    }
  });

  it('contain every method in v1', () => {
    expect(Object.keys(RUNTIME_SERVICE)).toEqual(namesOf('RuntimeService'));
    expect(Object.keys(IMAGE_SERVICE)).toEqual(namesOf('ImageService'));
  });

  it('contain in v1alpha2 the methods up to Kubernetes 1.25, except the two that only v1 has', () => {
    const lived = (service: string) =>
      methods
        .filter(({ parent, since }) => parent === service && minor(since) <= 25)
        .map(({ name }) => name)
        .filter((name) => name !== 'CheckpointContainer' && name !== 'GetContainerEvents');
    expect(Object.keys(ALPHA_RUNTIME_SERVICE)).toEqual(lived('RuntimeService'));
    expect(Object.keys(ALPHA_IMAGE_SERVICE)).toEqual(lived('ImageService'));
    expect(Object.keys(ALPHA_RUNTIME_SERVICE)).toHaveLength(24);
    expect(Object.keys(ALPHA_IMAGE_SERVICE)).toHaveLength(5);
  });

  it('use the messages of the API table in every method', () => {
    const tables = { ...RUNTIME_SERVICE, ...IMAGE_SERVICE };
    for (const { name, type, label } of methods) {
      const method = tables[name as 'Version'];
      expect(method.requestDeserialize(Buffer.alloc(0))).toBeInstanceOf(cri[type as 'VersionRequest']);
      expect(method.responseDeserialize(Buffer.alloc(0))).toBeInstanceOf(cri[label as 'VersionResponse']);
    }
  });
});

describe('the codecs', () => {
  const { ContainerStatus, CreateContainer, Version } = RUNTIME_SERVICE;

  it('write the bytes that protobuf prescribes', () => {
    // status(1) { id(1)="c1" state(3)=EXITED created_at(4)=300 exit_code(7)=137 labels(12){"a":"b"} }
    const golden = Buffer.from(
      ['0a14', '0a026331', '1802', '20ac02', '388901', '6206', '0a0161', '120162'].join(''),
      'hex',
    );
    const status = {
      id: 'c1',
      state: cri.ContainerState.CONTAINER_EXITED,
      created_at: 300,
      exit_code: 137,
      labels: { a: 'b' },
    };
    const bytes = ContainerStatus.responseSerialize({ status });
    expect(bytes.toString('hex')).toBe(golden.toString('hex'));
    expect(Buffer.isBuffer(bytes)).toBe(true);
    expect(ContainerStatus.responseDeserialize(golden).status).toMatchObject({
      ...status,
      created_at: Long.fromNumber(300),
    });
  });

  it('keep a nanosecond timestamp exactly', () => {
    const created_at = Long.fromString('1763784000123456789');
    const bytes = ContainerStatus.responseSerialize({ status: { created_at } });
    // Tag 4 varint; 1763784000123456789 in base 128, lowest group first.
    expect(bytes.toString('hex')).toBe(`0a0a20${varint(1763784000123456789n)}`);
    expect(ContainerStatus.responseDeserialize(bytes).status!.created_at.toString()).toBe(
      '1763784000123456789',
    );
  });

  it('keep an environment value that is not UTF-8', () => {
    const value = Uint8Array.from([0xff, 0x00, 0xfe, 0x80]);
    const bytes = CreateContainer.requestSerialize({ config: { envs: [{ key: 'K', value }] } });
    const request = CreateContainer.requestDeserialize(bytes);
    if (request instanceof MalformedMessage) throw new Error(request.why);
    expect(Uint8Array.from(request.config!.envs[0]!.value)).toEqual(value);
  });

  it('give absent fields their proto3 defaults', () => {
    const { status } = ContainerStatus.responseDeserialize(Buffer.from('0a00', 'hex'));
    expect([status!.id, status!.state, status!.labels, status!.mounts, status!.metadata]).toEqual([
      '',
      0,
      {},
      [],
      null,
    ]);
    expect(status!.finished_at.isZero()).toBe(true);
  });

  it.each([
    ['truncated', '0a05'],
    ['not UTF-8', '0a01ff'],
    ['without a tag', 'ffffffffffffffffffffff'],
  ])('turn a request that is %s into a MalformedMessage without an exception', (_, hex) => {
    const request = Version.requestDeserialize(Buffer.from(hex, 'hex'));
    expect(request).toBeInstanceOf(MalformedMessage);
    expect((request as MalformedMessage).why).toMatch(
      /^\/runtime\.v1\.RuntimeService\/Version: malformed request: ./,
    );
  });

  it('skip fields that only a newer client knows', () => {
    const request = Version.requestDeserialize(Buffer.from('0a0176f80701', 'hex'));
    expect(request).toMatchObject({ version: 'v' });
  });

  it('pass an encoded response through without a copy', () => {
    const buffer = Buffer.from('0a0176', 'hex');
    expect(Version.responseSerialize(buffer)).toBe(buffer);
    const view = new Uint8Array([9, 1, 2, 9]).subarray(1, 3);
    const passed = Version.responseSerialize(view);
    expect(Buffer.isBuffer(passed)).toBe(true);
    expect([...passed]).toEqual([1, 2]);
    expect(passed.buffer).toBe(view.buffer);
  });
});

function varint(value: bigint): string {
  const groups: number[] = [];
  for (; value > 127n; value >>= 7n) groups.push(Number(value & 127n) | 128);
  return Buffer.from([...groups, Number(value)]).toString('hex');
}

const containers = Array.from({ length: 100 }, (_, at) => ({
  id: `c${at}`,
  labels: { filler: 'x'.repeat(at) },
}));

/** Decodes the stream as a client does. */
function decodedIds(chunks: Uint8Array[]): string[][] {
  return chunks.map((chunk) =>
    cri.StreamContainersResponse.decode(chunk).containers.map(({ id }) => String(id)),
  );
}

describe('encodeChunks', () => {
  it('sends the contents of the list in order, in messages of limited size', () => {
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

  it('puts at least one element into a message', () => {
    const chunks = [...encodeChunks(cri.Container, containers.slice(0, 3), 1)];
    expect(decodedIds(chunks)).toEqual([['c0'], ['c1'], ['c2']]);
  });

  it('sends no message for an empty list', () => {
    expect([...encodeChunks(cri.Container, [])]).toEqual([]);
  });

  it('encodes elements only as they are needed', () => {
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
  // Field 1, length 0: one empty element.
  const decoded = message.decode(Uint8Array.from([0x0a, 0]));
  expect(Object.values(decoded).filter((value) => Array.isArray(value) && value.length === 1)).toHaveLength(
    1,
  );
});
