import { framed, MessageSplitter } from '../../../src/harness/proxy/grpc-messages';

const wire = Buffer.concat([
  framed(Buffer.from('first'), false),
  framed(Buffer.alloc(0), false),
  framed(Buffer.from('third'), true),
]);
const expected = [
  { compressed: false, length: 5, bytes: Buffer.from('first') },
  { compressed: false, length: 0, bytes: Buffer.alloc(0) },
  { compressed: true, length: 5, bytes: Buffer.from('third') },
];

it.each(Array.from({ length: wire.length }, (_, at) => at + 1))(
  'messages are read in pieces of %i bytes',
  (size) => {
    const splitter = new MessageSplitter();
    const found = [];
    for (let at = 0; at < wire.length; at += size) found.push(...splitter.feed(wire.subarray(at, at + size)));
    expect(found).toEqual(expected);
  },
);

it.each([1, 3, 100])('an overlong message is skipped in pieces of %i bytes', (size) => {
  const splitter = new MessageSplitter(4);
  const all = Buffer.concat([wire, framed(Buffer.from('ok'), false)]);
  const found = [];
  for (let at = 0; at < all.length; at += size) found.push(...splitter.feed(all.subarray(at, at + size)));
  expect(found.map(({ length, bytes }) => [length, bytes?.toString()])).toEqual([
    [5, undefined],
    [0, ''],
    [5, undefined],
    [2, 'ok'],
  ]);
});
