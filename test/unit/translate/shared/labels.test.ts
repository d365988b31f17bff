import type { StringMap } from '../../../../src/store/records';
import {
  decodeLabels,
  encodeLabels,
  EXTRA_LABEL,
  readExtra,
  sandboxOwnLabels,
} from '../../../../src/translate/shared/labels';
import { Random } from '../../support/random';

const OWN = {
  'io.kubernetes.docker.type': 'container',
  'io.kubernetes.sandbox.id': 'a1',
  'io.kubernetes.container.logpath': '/log/0.log',
};

function roundTrip(own: StringMap, labels: StringMap, annotations: StringMap, imageLabels: StringMap = {}) {
  const { labels: encoded, keys } = encodeLabels(own, labels, annotations);
  // The Engine adds the image's labels below the container's.
  const engineLabels = { ...imageLabels, ...encoded };
  return decodeLabels(engineLabels, JSON.parse(JSON.stringify(keys)) as typeof keys);
}

describe('labels', () => {
  it('are written as cri-dockerd writes them', () => {
    expect(encodeLabels(OWN, { app: 'web' }, { 'a/b': 'x' }).labels).toEqual({
      ...OWN,
      app: 'web',
      'annotation.a/b': 'x',
    });
    expect(sandboxOwnLabels()).toEqual({
      'io.kubernetes.docker.type': 'podsandbox',
      'io.kubernetes.container.name': 'POD',
    });
  });

  it.each<{ desc: string; labels: StringMap; annotations: StringMap }>([
    { desc: 'none', labels: {}, annotations: {} },
    { desc: 'ordinary', labels: { app: 'web', tier: '' }, annotations: { note: 'a=b,c' } },
    { desc: 'the same key in both', labels: { key: 'label' }, annotations: { key: 'annotation' } },
    {
      desc: 'a label that looks like an annotation',
      labels: { 'annotation.key': 'label' },
      annotations: { key: 'annotation' },
    },
    { desc: 'an annotation of an annotation', labels: {}, annotations: { 'annotation.key': 'x', key: 'y' } },
    {
      desc: 'reserved keys',
      labels: { ...OWN, [EXTRA_LABEL]: 'mine', 'io.kubernetes.container.name': 'app' },
      annotations: { [EXTRA_LABEL]: 'too' },
    },
    {
      desc: "keys of Object's prototype",
      labels: { constructor: 'c', toString: 't' },
      annotations: { hasOwnProperty: 'h' },
    },
    { desc: 'any Unicode', labels: { 'schlüssel\n': '価値"\\' }, annotations: { '': '\u0001 \u{1f433}' } },
  ])('are read back exactly: $desc', ({ labels, annotations }) => {
    for (const own of [OWN, sandboxOwnLabels()]) {
      expect(roundTrip(own, labels, annotations)).toEqual({ labels, annotations });
    }
  });

  it('of dockbridge override labels of the request', () => {
    const { labels } = encodeLabels(OWN, { 'io.kubernetes.sandbox.id': 'stolen' }, {});
    expect(labels['io.kubernetes.sandbox.id']).toBe('a1');
  });

  it('of the image do not appear among ours', () => {
    const image = { maintainer: 'x', 'annotation.from-image': 'y', app: 'image' };
    expect(roundTrip(OWN, { app: 'web' }, {}, image)).toEqual({ labels: { app: 'web' }, annotations: {} });
  });

  it('are read back exactly with any keys and values', () => {
    const random = new Random(1);
    const odd = [
      'annotation.',
      'annotation.a',
      ...Object.keys(OWN),
      EXTRA_LABEL,
      'io.kubernetes.container.name',
      'valueOf',
    ];
    const key = () => (random.chance(0.3) ? random.pick(odd) : random.text('abc./-_Ü\u{1f433}', 6, 1));
    const value = () => random.text('xyz"\\\n{}é', 8);
    for (let round = 0; round < 500; round++) {
      const [labels, annotations, image] = [
        random.map(6, key, value),
        random.map(6, key, value),
        random.map(4, key, value),
      ];
      const own = random.pick([OWN, sandboxOwnLabels()]);
      expect(roundTrip(own, labels, annotations, image)).toEqual({ labels, annotations });
    }
  });

  it('of cri-dockerd are read without a label of ours', () => {
    const shared = { app: 'web', 'annotation.note': 'n', 'io.kubernetes.container.name': 'app' };
    expect(decodeLabels({ ...OWN, ...shared }, undefined)).toEqual({
      labels: { app: 'web', 'io.kubernetes.container.name': 'app' },
      annotations: { note: 'n' },
    });
    // The name POD, which a sandbox has as its container's name, is hidden.
    expect(decodeLabels({ ...sandboxOwnLabels(), app: 'web' }, undefined)).toEqual({
      labels: { app: 'web' },
      annotations: {},
    });
  });
});

describe('readExtra', () => {
  const example = {
    labelKeys: [''],
    metadata: { name: '', attempt: 0 },
    flag: false,
    shadowed: {},
  };
  const good = {
    v: 1,
    labelKeys: ['a'],
    metadata: { name: 'n', attempt: 1 },
    flag: true,
    shadowed: { a: 'b' },
  };

  it('returns the value that was written', () => {
    expect(readExtra({ [EXTRA_LABEL]: JSON.stringify(good) }, example)).toEqual(good);
  });

  it('ignores additions of a later version', () => {
    const later = { ...good, more: [1] };
    expect(readExtra({ [EXTRA_LABEL]: JSON.stringify(later) }, example)).toEqual(later);
  });

  it.each([
    { desc: 'no label', text: undefined },
    { desc: 'an empty text', text: '' },
    { desc: 'truncated JSON', text: JSON.stringify(good).slice(0, -5) },
    { desc: 'null', text: 'null' },
    { desc: 'a string', text: '"v"' },
    { desc: 'a list', text: '[1]' },
    { desc: 'another version', text: JSON.stringify({ ...good, v: 2 }) },
    { desc: 'only the version', text: '{"v":1}' },
    { desc: 'a missing part', text: JSON.stringify({ ...good, metadata: undefined }) },
    { desc: 'a part with another type', text: JSON.stringify({ ...good, labelKeys: 'a' }) },
    { desc: 'another type in a list', text: JSON.stringify({ ...good, labelKeys: ['a', 5] }) },
    { desc: 'another type in a map', text: JSON.stringify({ ...good, shadowed: { a: 5 } }) },
    { desc: 'an object in place of a list', text: JSON.stringify({ ...good, labelKeys: {} }) },
    { desc: 'a list in place of an object', text: JSON.stringify({ ...good, shadowed: [] }) },
    { desc: 'null in place of an object', text: JSON.stringify({ ...good, shadowed: null }) },
    { desc: 'a missing part within a part', text: JSON.stringify({ ...good, metadata: { name: 'n' } }) },
  ])('is undefined for $desc', ({ text }) => {
    expect(readExtra(text === undefined ? {} : { [EXTRA_LABEL]: text }, example)).toBeUndefined();
  });
});
