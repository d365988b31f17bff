import Long from 'long';
import { cri } from '../../../src/proto';
import { DESCRIPTORS, type FieldRow } from '../../../src/proto/descriptors';
import { toJson, UNKNOWN, type Json } from '../../../src/proto/fields';
import { fromJson } from '../../../src/proto/json-to-message';

/** Numbers from 0 to 1, the same in each run (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const MAX_DEPTH = 4;

/** Messages as `toJson` makes them, with defaults only in lists and maps. */
class Inventor {
  constructor(private readonly random: () => number) {}

  message(name: string, depth = 0): Record<string, Json> {
    const out: Record<string, Json> = {};
    for (const row of DESCRIPTORS.messages[name] ?? []) {
      if (this.random() < 0.4) continue;
      const value = this.field(row, depth);
      if (value !== undefined) out[row[1]] = value;
    }
    // Field 2000, a varint.
    if (this.random() < 0.1) out[UNKNOWN] = [Buffer.from([0x80, 0x7d, 0x07]).toString('base64')];
    return out;
  }

  private field([, , type, kind]: FieldRow, depth: number): Json | undefined {
    if (type in DESCRIPTORS.messages && depth >= MAX_DEPTH) return undefined;
    if (kind === 'one') return this.one(type, depth, false);
    const count = 1 + Math.floor(this.random() * 3);
    if (kind === 'list') return Array.from({ length: count }, () => this.one(type, depth, true));
    return Object.fromEntries(
      Array.from({ length: count }, (_, n) => [`k${n}`, this.one(type, depth, true)]),
    );
  }

  private one(type: string, depth: number, canBeDefault: boolean): Json {
    const pick = <T>(defaultValue: T, ...others: T[]): T =>
      canBeDefault && this.random() < 0.2
        ? defaultValue
        : (others[Math.floor(this.random() * others.length)] ?? defaultValue);
    switch (type) {
      case 'string':
        return pick('', 'a', 'ünï\u0000cödé 💡', 'x'.repeat(300));
      case 'bytes':
        return pick('', 'AA==', Buffer.alloc(200, 7).toString('base64'));
      case 'bool':
        return pick(false, true);
      case 'int32':
        return pick(0, 1, -1, 2 ** 31 - 1, -(2 ** 31));
      case 'uint32':
        return pick(0, 1, 2 ** 32 - 1);
      case 'int64':
        return pick('0', '1', '-1', '9223372036854775807', '-9223372036854775808', '9007199254740993');
      case 'uint64':
        return pick('0', '1', '18446744073709551615');
      case 'double':
        return pick<Json>(0, 0.1, -1e300, 'NaN', 'Infinity', '-Infinity');
      default: {
        const names = DESCRIPTORS.enums[type];
        if (names === undefined) return this.message(type, depth + 1);
        const [first = 0, ...rest] = Object.values(names);
        return pick<Json>(first, 4242, -3, ...rest);
      }
    }
  }
}

const NAMES = Object.keys(DESCRIPTORS.messages);

it.each(NAMES)('%s: JSON becomes bytes and the same JSON again', (name) => {
  const inventor = new Inventor(randomFrom(NAMES.indexOf(name)));
  for (let round = 0; round < 30; round++) {
    const json = inventor.message(name);
    const bytes = fromJson(name, json);
    expect(toJson(name, bytes)).toEqual(json);
    // The generated codec reads exactly the same data from the bytes.
    const { decode, encode } = (cri as unknown as Record<string, Codec>)[name]!;
    expect(toJson(name, encode(decode(bytes)).finish())).toEqual(withoutUnknown(json));
  }
});

interface Codec {
  readonly decode: (bytes: Uint8Array) => unknown;
  readonly encode: (message: unknown) => { finish(): Uint8Array };
}

/** Returns the JSON without unknown fields, which the generated codecs drop. */
function withoutUnknown(json: Json): Json {
  if (Array.isArray(json)) return (json as readonly Json[]).map(withoutUnknown);
  if (typeof json !== 'object' || json === null) return json;
  const known = Object.entries(json).filter(([name]) => name !== UNKNOWN);
  return Object.fromEntries(known.map(([name, value]) => [name, withoutUnknown(value)]));
}

it('fromJson accepts handwritten forms: numbers as numbers or text, enums by number, null as an absent field', () => {
  const bytes = fromJson('CreateContainerRequest', {
    pod_sandbox_id: null,
    config: {
      stop_signal: 15,
      tty: false,
      linux: { resources: { cpu_quota: 50_000, cpu_shares: '0012', memory_limit_in_bytes: 0 } },
    },
  });
  const { config } = cri.CreateContainerRequest.decode(bytes);
  expect(config?.stop_signal).toBe(15);
  expect(config?.linux?.resources?.cpu_quota).toEqual(Long.fromNumber(50_000));
  expect(config?.linux?.resources?.cpu_shares).toEqual(Long.fromNumber(12));
});

it.each<[string, Json, string]>([
  [
    'RunPodSandboxRequest',
    { config: { hostnam: 'a' } },
    'config.hostnam: PodSandboxConfig has no such field; its fields: metadata',
  ],
  ['RunPodSandboxRequest', { config: [] }, 'config: [] is not an object'],
  ['RunPodSandboxRequest', 'a', 'RunPodSandboxRequest: "a" is not an object'],
  ['RunPodSandboxRequest', { config: { labels: { a: 1 } } }, 'config.labels["a"]: 1 is not text'],
  ['RunPodSandboxRequest', { config: { labels: 'a' } }, 'config.labels: "a" is not an object'],
  ['ExecSyncRequest', { cmd: 'ls' }, 'cmd: "ls" is not a list'],
  ['ExecSyncRequest', { cmd: ['ls', 3] }, 'cmd[1]: 3 is not text'],
  ['ExecSyncRequest', { timeout: 1.5 }, 'timeout: 1.5 is not a 64-bit integer'],
  [
    'ExecSyncRequest',
    { timeout: '9223372036854775808' },
    'timeout: "9223372036854775808" is not a 64-bit integer',
  ],
  ['ContainerMetadata', { attempt: -1 }, 'attempt: -1 is not a whole number from 0 to 4294967295'],
  ['PortMapping', { protocol: 'QUIC' }, 'protocol: "QUIC" is none of TCP, UDP, SCTP'],
  ['KeyValue', { value: 'hidden:0123456789abcdef' }, 'value: "hidden:0123456789abcdef" is not base64'],
  ['ContainerConfig', { tty: 'yes' }, 'tty: "yes" is neither true nor false'],
  ['VersionRequest', { [UNKNOWN]: 'a' }, '@unknown: "a" is not a list'],
  ['NoSuchThing', {}, 'NoSuchThing: the proto has no message NoSuchThing'],
])('fromJson refuses %s and names the path: %j', (name, json, why) => {
  expect(() => fromJson(name, json)).toThrow(why);
});

it('fromJson keeps a map key called __proto__', () => {
  const labels = Object.fromEntries([['__proto__', 'x']]);
  const bytes = fromJson('PodSandboxFilter', { label_selector: labels });
  expect(Object.entries(toJson('PodSandboxFilter', bytes).label_selector as object)).toEqual([
    ['__proto__', 'x'],
  ]);
});
