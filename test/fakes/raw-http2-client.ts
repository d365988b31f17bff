import { connect, type Socket } from 'node:net';
import { Flag, frame, FrameType, PREFACE, readFrameHeader } from '../../src/lib/http2/frames';
import { HeaderDecoder } from '../../src/lib/http2/header-fields';

const DATA = 0;
const RST_STREAM = 3;
const PING = 6;
const GOAWAY = 7;
const WINDOW_UPDATE = 8;

export interface RequestOptions {
  /** `undefined` means the raw socket path, which Kubernetes 1.28 and earlier send; `null` means no :authority. */
  authority?: string | null | undefined;
  fields?: [string, string][];
  padding?: number;
  priority?: boolean;
  /** Splits the header block into frames of this many bytes. */
  fragment?: number;
}

export interface RawResponse {
  messages: Buffer[];
  headers: Record<string, string>;
}

interface Call {
  data: Buffer;
  window: number;
  headers: Record<string, string>;
  done: (error?: Error) => void;
  onData?: () => void;
}

/** An HTTP/2 client of hand-written frames that sends exactly what a test says, as grpc-go 1.4x would. */
export class RawHttp2Client {
  readonly socket: Socket;
  /** Resolves with the first frame that the server sends. grpc-go waits for it before its first call. */
  readonly settings: Promise<void>;
  readonly closed: Promise<void>;
  acksReceived = 0;
  pongs = 0;
  goawayCode: number | undefined;
  #nextStream = 1;
  #input: Buffer = Buffer.alloc(0);
  readonly #decoder = new HeaderDecoder();
  readonly #calls = new Map<number, Call>();
  readonly #indexed: string[] = [];
  #window = 65_535;
  #initialWindow = 65_535;
  readonly #waiting: (() => void)[] = [];
  #onSettings: () => void = () => undefined;
  #onPong: () => void = () => undefined;

  constructor(
    readonly path: string,
    private readonly write: (socket: Socket, bytes: Buffer) => void = (socket, bytes) =>
      void socket.write(bytes),
  ) {
    this.socket = connect(path);
    this.settings = new Promise((resolve) => (this.#onSettings = resolve));
    this.closed = new Promise((resolve) => this.socket.once('close', () => resolve()));
    this.socket.on('error', () => undefined);
    this.socket.on('data', (chunk: Buffer) => this.#read(chunk));
    this.socket.on('close', () => {
      for (const call of this.#calls.values()) call.done(new Error('connection closed'));
      this.#wake();
    });
  }

  send(bytes: Buffer): void {
    if (this.socket.writable) this.write(this.socket, bytes);
  }

  /** Sends the preface, and SETTINGS with the largest window for streams and for the connection. */
  greet(): void {
    const settings = Buffer.from([0, 4, 0x7f, 0xff, 0xff, 0xff]);
    const update = Buffer.from([0x7f, 0, 0, 0]);
    this.send(
      Buffer.concat([PREFACE, frame(FrameType.SETTINGS, 0, 0, settings), frame(WINDOW_UPDATE, 0, 0, update)]),
    );
  }

  ping(): Promise<void> {
    const pong = new Promise<void>((resolve) => (this.#onPong = resolve));
    this.send(frame(PING, 0, 0, Buffer.alloc(8)));
    return pong;
  }

  /** Makes one gRPC call with one request message. */
  async call(method: string, message: Buffer, options: RequestOptions = {}): Promise<RawResponse> {
    const { id, result } = this.open(method, options);
    const prefixed = Buffer.alloc(5 + message.length);
    prefixed.writeUInt32BE(message.length, 1);
    message.copy(prefixed, 5);
    await this.#sendData(id, prefixed);
    return result;
  }

  /** Sends the request's headers only. */
  open(
    method: string,
    options: RequestOptions,
  ): { id: number; result: Promise<RawResponse>; cancel: () => void } {
    const id = this.#nextStream;
    this.#nextStream += 2;
    const call: Call = {
      data: Buffer.alloc(0),
      window: this.#initialWindow,
      headers: {},
      done: () => undefined,
    };
    this.#calls.set(id, call);
    const result = new Promise<RawResponse>((resolve, reject) => {
      call.done = (error) => {
        this.#calls.delete(id);
        if (error) reject(error);
        else resolve({ messages: messages(call.data), headers: call.headers });
      };
    });
    result.catch(() => undefined);
    this.send(this.headerFrames(id, this.encode(this.#fields(method, options)), options));
    const cancel = (): void => {
      this.send(frame(RST_STREAM, 0, id, Buffer.from([0, 0, 0, 8])));
      call.done(new Error('cancelled'));
    };
    return { id, result, cancel };
  }

  /** Resolves when the stream has received this many bytes. */
  received(id: number, bytes: number): Promise<void> {
    const call = this.#calls.get(id)!;
    return new Promise((resolve) => {
      call.onData = () => {
        if (call.data.length >= bytes) resolve();
      };
      call.onData();
    });
  }

  sendMessage(id: number, message: Buffer): Promise<void> {
    const prefixed = Buffer.alloc(5 + message.length);
    prefixed.writeUInt32BE(message.length, 1);
    message.copy(prefixed, 5);
    return this.#sendData(id, prefixed);
  }

  /** Encodes fields. A short one enters the dynamic table at its first use, and is later sent as its index. */
  encode(fields: [string, string][]): Buffer {
    const out: Buffer[] = [];
    for (const [name, value] of fields) {
      const known = this.#indexed.indexOf(`${name}\0${value}`);
      if (known >= 0) {
        out.push(integer(0x80, 7, 62 + known));
        continue;
      }
      const indexing = value.length < 200;
      if (indexing) this.#indexed.unshift(`${name}\0${value}`);
      out.push(Buffer.from([indexing ? 0x40 : 0]), integer(0, 7, name.length), Buffer.from(name));
      out.push(integer(0, 7, value.length), Buffer.from(value, 'latin1'));
    }
    return Buffer.concat(out);
  }

  headerFrames(id: number, block: Buffer, options: RequestOptions): Buffer {
    const size = options.fragment ?? 16_000;
    const frames: Buffer[] = [];
    for (let at = 0; at < block.length; at += size) {
      let payload = block.subarray(at, at + size);
      let flags = at + size >= block.length ? Flag.END_HEADERS : 0;
      if (at === 0 && options.priority) {
        payload = Buffer.concat([Buffer.from([0, 0, 0, 0, 15]), payload]);
        flags |= Flag.PRIORITY;
      }
      if (at === 0 && options.padding !== undefined) {
        payload = Buffer.concat([Buffer.from([options.padding]), payload, Buffer.alloc(options.padding)]);
        flags |= Flag.PADDED;
      }
      frames.push(frame(at === 0 ? FrameType.HEADERS : FrameType.CONTINUATION, flags, id, payload));
    }
    return Buffer.concat(frames);
  }

  #fields(method: string, options: RequestOptions): [string, string][] {
    const authority = options.authority === undefined ? this.path : options.authority;
    return [
      [':method', 'POST'],
      [':scheme', 'http'],
      [':path', method],
      ...(authority === null ? [] : [[':authority', authority] as [string, string]]),
      ['content-type', 'application/grpc'],
      ['user-agent', 'grpc-go/1.49.0'],
      ['te', 'trailers'],
      ...(options.fields ?? []),
    ];
  }

  async #sendData(id: number, body: Buffer): Promise<void> {
    let at = 0;
    while (at < body.length) {
      const call = this.#calls.get(id);
      if (call === undefined || this.socket.destroyed) return;
      const room = Math.min(this.#window, call.window, 16_384, body.length - at);
      if (room <= 0) {
        await new Promise<void>((resolve) => this.#waiting.push(resolve));
        continue;
      }
      this.#window -= room;
      call.window -= room;
      const end = at + room >= body.length ? Flag.END_STREAM : 0;
      this.send(frame(DATA, end, id, body.subarray(at, at + room)));
      at += room;
    }
  }

  #wake(): void {
    for (const resume of this.#waiting.splice(0)) resume();
  }

  #read(chunk: Buffer): void {
    this.#input = Buffer.concat([this.#input, chunk]);
    while (this.#input.length >= 9) {
      const head = readFrameHeader(this.#input, 0);
      if (this.#input.length < 9 + head.length) return;
      const payload = this.#input.subarray(9, 9 + head.length);
      this.#input = this.#input.subarray(9 + head.length);
      this.#frame(head.type, head.flags, head.streamId, payload);
    }
  }

  #frame(type: number, flags: number, id: number, payload: Buffer): void {
    const call = this.#calls.get(id);
    const end = (flags & Flag.END_STREAM) !== 0;
    if (type === FrameType.SETTINGS) this.#settings(flags, payload);
    else if (type === FrameType.HEADERS) {
      for (const { name, value } of this.#decoder.decode(payload)) if (call) call.headers[name] = value;
      if (end) call?.done();
    } else if (type === DATA && call) {
      call.data = Buffer.concat([call.data, payload]);
      call.onData?.();
      if (end) call.done();
    } else if (type === RST_STREAM) call?.done(new Error(`RST_STREAM ${payload.readUInt32BE(0)}`));
    else if (type === PING && flags === Flag.ACK) {
      this.pongs += 1;
      this.#onPong();
    } else if (type === GOAWAY) this.goawayCode = payload.readUInt32BE(4);
    else if (type === WINDOW_UPDATE) {
      const more = payload.readUInt32BE(0);
      if (id === 0) this.#window += more;
      else if (call) call.window += more;
      this.#wake();
    }
  }

  #settings(flags: number, payload: Buffer): void {
    if (flags === Flag.ACK) {
      this.acksReceived += 1;
      return;
    }
    for (let at = 0; at < payload.length; at += 6) {
      if (payload.readUInt16BE(at) !== 4) continue;
      const window = payload.readUInt32BE(at + 2);
      for (const call of this.#calls.values()) call.window += window - this.#initialWindow;
      this.#initialWindow = window;
    }
    this.send(frame(FrameType.SETTINGS, Flag.ACK, 0, Buffer.alloc(0)));
    this.#onSettings();
    this.#wake();
  }
}

function messages(data: Buffer): Buffer[] {
  const found: Buffer[] = [];
  for (let at = 0; at < data.length; at += 5 + data.readUInt32BE(at + 1)) {
    found.push(data.subarray(at + 5, at + 5 + data.readUInt32BE(at + 1)));
  }
  return found;
}

/** Encodes an integer as in RFC 7541, section 5.1. */
function integer(first: number, bits: number, value: number): Buffer {
  const max = 2 ** bits - 1;
  if (value < max) return Buffer.from([first | value]);
  const bytes = [first | max];
  let rest = value - max;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128);
  bytes.push(rest);
  return Buffer.from(bytes);
}
