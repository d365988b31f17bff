import { encodeWrite } from '../../../../src/migrate/images/containerd/write-request';
import { content } from '../../../../src/proto/containerd';

it.each([0, 1, 127, 128, 16_384, 1_100_000])(
  'a request with %d bytes of data can be decoded again',
  (size) => {
    const data = Buffer.alloc(size, 'data');
    const half = size >> 1;
    const encoded = encodeWrite({ action: 1, offset: 5_000_000_000 }, [
      data.subarray(0, half),
      data.subarray(half),
    ]);
    const decoded = content.WriteContentRequest.decode(encoded);
    expect([decoded.action, Number(decoded.offset), Buffer.from(decoded.data).equals(data)]).toEqual([
      1,
      5_000_000_000,
      true,
    ]);
  },
);
