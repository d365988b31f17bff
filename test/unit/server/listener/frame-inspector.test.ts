import { Flag, frame, FrameType, headerFrames, PREFACE } from '../../../../src/lib/http2/frames';
import { encodeLiterals, type HeaderField } from '../../../../src/lib/http2/header-fields';
import { needsRepair, repaired } from '../../../../src/server/listener/authority';
import { FrameInspector } from '../../../../src/server/listener/frame-inspector';

const DATA = 0x0;
const field = (name: string, value: string): HeaderField => ({ name, value });
const METHOD = field(':method', 'POST');
const SETTINGS = frame(FrameType.SETTINGS, 0, 0, Buffer.alloc(6, 1));
const ACK = frame(FrameType.SETTINGS, Flag.ACK, 0, Buffer.alloc(0));

describe('the authority in header fields', () => {
  it.each<[string, HeaderField[], boolean]>([
    ['a valid authority', [METHOD, field(':authority', 'localhost')], false],
    ['a valid host', [METHOD, field('host', 'node:80')], false],
    ['an authority and a host', [METHOD, field(':authority', 'a'), field('host', 'b')], false],
    ['neither authority nor host', [METHOD], true],
    ['two authorities', [METHOD, field(':authority', 'a'), field(':authority', 'a')], true],
    ['a path', [METHOD, field(':authority', '/run/cri.sock')], true],
    ['an escaped path', [METHOD, field(':authority', '%2Frun')], false],
    ['a valid authority and an invalid host', [METHOD, field(':authority', 'a'), field('host', 'b c')], true],
    ['an empty authority', [METHOD, field(':authority', '')], true],
    ['an authority of which only the beginning is valid', [METHOD, field(':authority', 'a/')], true],
    ['trailers', [field('grpc-status', '0')], false],
  ])('needs a repair unless it is valid or the fields are trailers: %s', (_, fields, needed) =>
    expect(needsRepair(fields)).toBe(needed),
  );

  it('occurs once after the repair, and trailers stay unchanged', () => {
    const more = [field(':path', '/x'), field('te', 'trailers')];
    expect(repaired([METHOD, field(':authority', '/run'), field('host', 'x'), ...more])).toEqual([
      field(':authority', 'localhost'),
      METHOD,
      ...more,
    ]);
    expect(repaired(more)).toEqual(more);
  });
});

describe('the inspector of a connection', () => {
  const GOOD = encodeLiterals([METHOD, field(':authority', 'localhost')]);
  const BAD = encodeLiterals([METHOD, field(':authority', '/run/cri.sock')]);
  const request = (block: Buffer, streamId = 1): Buffer => headerFrames(streamId, true, block);
  const data = frame(DATA, 0, 1, Buffer.from('message'));
  const feed = (inspector: FrameInspector, bytes: Buffer, step = bytes.length): Buffer => {
    const out: Buffer[] = [];
    for (let at = 0; at < bytes.length; at += step)
      out.push(...inspector.feed(bytes.subarray(at, at + step)));
    return Buffer.concat(out);
  };

  it.each([1, 2, 7, 13, 10_000])("passes a valid client's bytes on unchanged, in pieces of %d", (step) => {
    const inspector = new FrameInspector();
    const bytes = Buffer.concat([PREFACE, SETTINGS, request(GOOD), data]);
    expect(feed(inspector, bytes, step).equals(bytes)).toBe(true);
    expect([inspector.verdict, inspector.isTransparent(), inspector.greeted]).toEqual(['valid', true, true]);
    const more = Buffer.from('anything');
    expect(inspector.feed(more)).toEqual([more]);
  });

  it.each([1, 2, 7, 13, 10_000])(
    'repairs each header block of an invalid client, in pieces of %d',
    (step) => {
      const inspector = new FrameInspector();
      const trailers = encodeLiterals([field('grpc-status', '0')]);
      const said = [PREFACE, SETTINGS, request(BAD), data, request(BAD, 3), request(trailers, 5)];
      const fixed = encodeLiterals([field(':authority', 'localhost'), METHOD]);
      const heard = [PREFACE, SETTINGS, request(fixed), data, request(fixed, 3), request(trailers, 5)];
      expect(feed(inspector, Buffer.concat(said), step)).toEqual(Buffer.concat(heard));
      expect([inspector.verdict, inspector.isTransparent(), inspector.midBlock]).toEqual([
        'repair',
        false,
        false,
      ]);
    },
  );

  it('counts a client as greeted only after its first complete SETTINGS', () => {
    const inspector = new FrameInspector();
    inspector.feed(PREFACE.subarray(0, 10));
    inspector.feed(PREFACE.subarray(10));
    inspector.feed(SETTINGS.subarray(0, 12));
    expect(inspector.greeted).toBe(false);
    inspector.feed(SETTINGS.subarray(12));
    expect(inspector.greeted).toBe(true);
    const empty = new FrameInspector();
    empty.feed(Buffer.concat([PREFACE, frame(FrameType.SETTINGS, 0, 0, Buffer.alloc(0))]));
    expect([empty.greeted, empty.verdict]).toEqual([true, 'undecided']);
  });

  it('absorbs one ACK from the server if dockbridge has sent SETTINGS in its place', () => {
    const inspector = new FrameInspector();
    feed(inspector, Buffer.concat([PREFACE, SETTINGS]));
    inspector.swallowAck();
    expect(feed(inspector, request(GOOD))).toEqual(request(GOOD));
    expect([inspector.verdict, inspector.isTransparent()]).toEqual(['valid', false]);
    expect(feed(inspector, Buffer.concat([ACK, data]))).toEqual(data);
    expect(inspector.isTransparent()).toBe(true);
    expect(feed(inspector, ACK)).toEqual(ACK);
  });

  it('passes on an ACK that answers the server', () => {
    const inspector = new FrameInspector();
    feed(inspector, Buffer.concat([PREFACE, SETTINGS]));
    expect(feed(inspector, ACK)).toEqual(ACK);
  });

  it('knows when a block has begun and not ended', () => {
    const inspector = new FrameInspector();
    feed(inspector, Buffer.concat([PREFACE, SETTINGS, request(GOOD).subarray(0, 12)]));
    expect(inspector.midBlock).toBe(true);
    feed(inspector, request(GOOD).subarray(12));
    expect(inspector.midBlock).toBe(false);
  });

  it.each<[string, Buffer, string]>([
    ['bytes that are not HTTP/2', Buffer.from('GET / HTTP/1.1\r\n'), 'not an HTTP/2 client'],
    ['a request before SETTINGS', Buffer.concat([PREFACE, request(GOOD)]), 'the first frame is not SETTINGS'],
    ['an ACK before SETTINGS', Buffer.concat([PREFACE, ACK]), 'the first frame is not SETTINGS'],
    [
      'an interrupted block',
      Buffer.concat([PREFACE, SETTINGS, frame(FrameType.HEADERS, 0, 1, GOOD), data]),
      'interrupted by another frame',
    ],
    [
      'an invalid block',
      Buffer.concat([
        PREFACE,
        SETTINGS,
        frame(FrameType.HEADERS, Flag.END_HEADERS, 1, Buffer.from([0xff, 0xff])),
      ]),
      'undecodable header block',
    ],
  ])('throws for %s', (_, bytes, why) => {
    expect(() => feed(new FrameInspector(), bytes)).toThrow(why);
  });

  it('throws for an ACK with a payload when it waits for an ACK', () => {
    const inspector = new FrameInspector();
    feed(inspector, Buffer.concat([PREFACE, SETTINGS]));
    inspector.swallowAck();
    expect(() => feed(inspector, frame(FrameType.SETTINGS, Flag.ACK, 0, Buffer.alloc(6)))).toThrow(
      'with a payload',
    );
  });
});
