import type { Decision, How } from '../../../../src/migrate/images/decision';
import { estimate } from '../../../../src/migrate/images/estimate';
import type { Descriptor } from '../../../../src/migrate/images/manifest';

const GB = 1_000_000_000;
const PLAIN = 'application/vnd.docker.image.rootfs.diff.tar';
const COMPRESSED = `${PLAIN}.gzip`;
const BASE: Descriptor = { digest: 'sha256:base', size: 2 * GB, mediaType: COMPRESSED };

function decision(how: How, bytes: number, missing: readonly Descriptor[] = []): Decision {
  const image = { id: 'sha256:1', tags: ['a:1'], digests: [], size: bytes, why: '' };
  return { image, how, bytes, missing, why: '', names: image.tags, diffIds: [] };
}

/** Images on the layer `BASE`, each with one layer of its own of 0.1 GB. */
function onBase(how: How, count: number): Decision[] {
  return Array.from({ length: count }, (_, at) => {
    const own = { digest: `sha256:${at}`, size: GB / 10, mediaType: COMPRESSED };
    return decision(how, BASE.size + own.size, [BASE, own]);
  });
}

describe('estimate', () => {
  it('counts a layer only once if several images share it', () => {
    expect(estimate(onBase('copy', 20))).toEqual({ moved: 4 * GB, unpacked: 12 * GB });
  });

  it('needs room for unpacking when no bytes move', () => {
    expect(estimate(onBase('share', 20))).toEqual({ moved: 0, unpacked: 12 * GB });
  });

  it('counts a layer only once if one image shares it and another one copies it', () => {
    expect(estimate([...onBase('share', 1), ...onBase('copy', 1)]).unpacked).toBe(6.3 * GB);
  });

  it("limits saved images to the layers of the Engine's store", () => {
    const images = Array.from({ length: 20 }, () => decision('save', 2.2 * GB));
    expect(estimate(images, 6 * GB)).toEqual({ moved: 6 * GB, unpacked: 7.2 * GB });
  });

  it('adds the sizes of saved images when the Engine does not report its layers', () => {
    const images = [decision('save', 1 * GB), decision('save', 2 * GB)];
    expect(estimate(images)).toEqual({ moved: 3 * GB, unpacked: 3.6 * GB });
  });

  it('needs nothing for images that are there', () => {
    expect(estimate([decision('present', 0), decision('skip', 0)], 6 * GB)).toEqual({
      moved: 0,
      unpacked: 0,
    });
  });
});
