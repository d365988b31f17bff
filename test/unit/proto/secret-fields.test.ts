import { cri } from '../../../src/proto';
import type * as descriptors from '../../../src/proto/descriptors';
import { toJson } from '../../../src/proto/fields';

// No message field of today's proto is marked with debug_redact, but one of a later proto may be.
jest.mock('../../../src/proto/descriptors', () => {
  const { DESCRIPTORS } = jest.requireActual<typeof descriptors>('../../../src/proto/descriptors');
  const { messages } = DESCRIPTORS;
  const marked = (rows: readonly descriptors.FieldRow[] = []): descriptors.FieldRow[] =>
    rows.map(([number, name, type, kind]) => [number, name, type, kind, true]);
  const { PullImageRequest, ListImagesResponse } = messages;
  const changed = {
    PullImageRequest: marked(PullImageRequest),
    ListImagesResponse: marked(ListImagesResponse),
  };
  return { DESCRIPTORS: { ...DESCRIPTORS, messages: { ...messages, ...changed } } };
});

const rewrite = (value: unknown): string => `hidden ${Buffer.isBuffer(value) ? 'bytes' : typeof value}`;

it('a message that is marked as secret is hidden as a whole', () => {
  const request = cri.PullImageRequest.encode({ image: { image: 'a' }, auth: { username: 'u' } }).finish();
  expect(toJson('PullImageRequest', request, { rewrite })).toEqual({
    image: 'hidden bytes',
    auth: 'hidden bytes',
  });
  const list = cri.ListImagesResponse.encode({ images: [{ id: 'a' }, { id: 'b' }] }).finish();
  expect(toJson('ListImagesResponse', list, { rewrite })).toEqual({
    images: ['hidden bytes', 'hidden bytes'],
  });
});

it('the same message is shown if nothing is hidden', () => {
  const request = cri.PullImageRequest.encode({ auth: { username: 'u' } }).finish();
  expect(toJson('PullImageRequest', request)).toEqual({ auth: { username: 'u' } });
  expect(toJson('PullImageRequest', request, { rewrite: () => undefined })).toEqual({
    auth: { username: 'u' },
  });
});

it('a truncated secret message causes an error', () => {
  const request = cri.PullImageRequest.encode({ auth: { username: 'u' } }).finish();
  expect(() => toJson('PullImageRequest', request.subarray(0, -1), { rewrite })).toThrow();
});
