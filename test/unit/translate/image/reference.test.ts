import {
  asImageId,
  familiarName,
  looksLikeIdPrefix,
  parseReference,
  registryOf,
  tryParseReference,
} from '../../../../src/translate/image/reference';
import { thrownBy } from '../../support/errors';

const HEX = '0123456789abcdef'.repeat(4);
const DIGEST = `sha256:${HEX}`;

describe('image references', () => {
  it.each([
    { given: 'busybox', name: 'busybox:latest' },
    { given: 'busybox:1.36', name: 'busybox:1.36' },
    { given: 'docker.io/library/busybox', name: 'busybox:latest' },
    { given: 'docker.io/busybox:1', name: 'busybox:1' },
    { given: 'index.docker.io/library/busybox', name: 'busybox:latest' },
    { given: 'library/busybox', name: 'busybox:latest' },
    { given: 'docker.io/grafana/loki:3', name: 'grafana/loki:3' },
    { given: 'docker.io/library/a/b', name: 'library/a/b:latest' },
    { given: 'library/a/b', name: 'library/a/b:latest' },
    { given: 'grafana/loki', name: 'grafana/loki:latest' },
    { given: 'registry.k8s.io/pause:3.10', name: 'registry.k8s.io/pause:3.10' },
    { given: 'registry.k8s.io/library/x', name: 'registry.k8s.io/library/x:latest' },
    { given: 'localhost/app', name: 'localhost/app:latest' },
    { given: 'localhost:5000/app:v1', name: 'localhost:5000/app:v1' },
    { given: 'registry:5000/app', name: 'registry:5000/app:latest' },
    { given: 'Registry/app', name: 'Registry/app:latest' },
    { given: '[2001:db8::1]:5000/app:v1', name: '[2001:db8::1]:5000/app:v1' },
    { given: `busybox@${DIGEST}`, name: `busybox@${DIGEST}` },
    { given: `busybox:1.36@${DIGEST}`, name: `busybox@${DIGEST}` },
    { given: `quay.io/a/b@${DIGEST}`, name: `quay.io/a/b@${DIGEST}` },
    { given: 'a_b/c__d/e-f--g.h', name: 'a_b/c__d/e-f--g.h:latest' },
    { given: `app:${'T'.repeat(128)}`, name: `app:${'T'.repeat(128)}` },
    { given: 'a'.repeat(255), name: `${'a'.repeat(255)}:latest` },
    { given: 'app:5000', name: 'app:5000' },
  ])('are completed: $given is $name', ({ given, name }) => {
    expect(familiarName(parseReference(given, 'f'))).toBe(name);
  });

  it('have their parts separated', () => {
    expect(tryParseReference(`quay.io/app:1@${DIGEST}`)).toEqual({
      repository: 'quay.io/app',
      tag: '1',
      digest: DIGEST,
    });
    expect(tryParseReference('app')).toEqual({ repository: 'app', tag: undefined, digest: undefined });
  });

  it.each([
    { desc: 'an empty text', given: '' },
    { desc: 'a space', given: 'busy box' },
    { desc: 'a newline at the end', given: 'busybox\n' },
    { desc: 'a NUL', given: 'busybox\0' },
    { desc: 'capitals', given: 'BusyBox' },
    { desc: 'capitals in the path', given: 'quay.io/BusyBox' },
    { desc: 'an empty tag', given: 'busybox:' },
    { desc: 'a tag that begins with a dash', given: 'busybox:-1' },
    { desc: 'a tag of 129 characters', given: `app:${'t'.repeat(129)}` },
    { desc: 'two tags', given: 'busybox:1:2' },
    { desc: 'an empty digest', given: 'busybox@' },
    { desc: 'a short digest', given: 'busybox@sha256:abc' },
    { desc: 'a digest without algorithm', given: `busybox@${HEX}` },
    { desc: 'a digest that is not hex', given: `busybox@sha256:${'g'.repeat(64)}` },
    { desc: 'a path with ..', given: '../../etc/passwd' },
    { desc: 'a path with .. in the middle', given: 'quay.io/a/../b' },
    { desc: 'a slash at the start', given: '/busybox' },
    { desc: 'a slash at the end', given: 'busybox/' },
    { desc: 'two slashes', given: 'quay.io//busybox' },
    { desc: 'a separator at the start', given: '-busybox' },
    { desc: 'a separator at the end', given: 'busybox_' },
    { desc: 'three underscores', given: 'busy___box' },
    { desc: 'two dots', given: 'busy..box' },
    { desc: 'a scheme', given: 'https://quay.io/app' },
    { desc: 'a port that is not a number', given: 'quay.io:x/app' },
    { desc: 'a query', given: 'busybox?x=1' },
    { desc: 'an overlong name', given: 'a'.repeat(256) },
    { desc: 'a much too long name', given: 'a'.repeat(1_000_000) },
  ])('are refused for $desc', ({ given }) => {
    expect(tryParseReference(given)).toBeUndefined();
    const message = thrownBy(() => parseReference(given, 'image.image'));
    expect(message).toMatch(/^INVALID_ARGUMENT image\.image: "/);
    expect(message.length).toBeLessThan(300);
  });

  it.each(['a', 'a.', 'a-', 'a/', 'A', 'a_', 'a1.b-c__d/'])(
    'are parsed within 500 ms even if they repeat "%s"',
    (part) => {
      const text = part.repeat(600).slice(0, 510);
      const started = process.hrtime.bigint();
      for (const end of ['', '!', ':', '@']) tryParseReference(text + end);
      expect(Number(process.hrtime.bigint() - started) / 1e6).toBeLessThan(500);
    },
  );
});

describe('registryOf', () => {
  it.each([
    { given: 'busybox:1', host: 'docker.io', path: 'library/busybox' },
    { given: 'grafana/loki', host: 'docker.io', path: 'grafana/loki' },
    { given: 'docker.io/library/busybox', host: 'docker.io', path: 'library/busybox' },
    { given: 'a/b/c', host: 'docker.io', path: 'a/b/c' },
    { given: 'quay.io/a/b', host: 'quay.io', path: 'a/b' },
    { given: 'localhost/app', host: 'localhost', path: 'app' },
    { given: 'registry:5000/app', host: 'registry:5000', path: 'app' },
    { given: '[2001:db8::1]:5000/app', host: '[2001:db8::1]:5000', path: 'app' },
    { given: 'Registry/app', host: 'Registry', path: 'app' },
  ])('finds $given at $host as $path', ({ given, host, path }) =>
    expect(registryOf(parseReference(given, 'f'))).toEqual({ host, path }),
  );
});

describe('image ids', () => {
  it.each([
    { desc: 'complete', given: DIGEST, id: DIGEST, prefix: true },
    { desc: 'without algorithm', given: HEX, id: DIGEST, prefix: true },
    { desc: 'short', given: HEX.slice(0, 12), id: undefined, prefix: true },
    { desc: 'short with algorithm', given: `sha256:${HEX.slice(0, 12)}`, id: undefined, prefix: true },
    { desc: 'very short', given: 'abc', id: undefined, prefix: false },
    { desc: 'too long', given: `${HEX}0`, id: undefined, prefix: false },
    { desc: 'capitals', given: HEX.toUpperCase(), id: undefined, prefix: false },
    { desc: 'not hex', given: 'busybox', id: undefined, prefix: false },
    { desc: 'nothing', given: '', id: undefined, prefix: false },
  ])('and their prefixes are distinguished from other texts: $desc', ({ given, id, prefix }) => {
    expect(asImageId(given)).toBe(id);
    expect(looksLikeIdPrefix(given)).toBe(prefix);
  });
});
