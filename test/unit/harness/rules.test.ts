import { pathOf, readPath, type Place } from '../../../src/harness/compare/path';
import { readRules, rulesFor } from '../../../src/harness/compare/rules';
import { runtimeMatch } from '../../../src/harness/compare/runtime-match';

const rule = (text: string): string =>
  `rules:\n  - {path: Image.size, as: ignore, because: x}\n  - {${text}}\n`;

it.each([
  ['a document that is not a map', '[1]', 'the file is not a map with rules'],
  ['invalid YAML', 'rules: [', 'the file is not YAML'],
  ['rules that are not a list', 'rules: 3', 'rules is not a list of rules'],
  ['an unknown key', 'rulse: []', 'rulse is unknown: is rules meant?'],
  [
    'an unknown key in a rule',
    rule('path: Image.size, as: ignore, becouse: x'),
    'rules[1].becouse is unknown: is because meant?',
  ],
  ['no reason', rule('path: Image.size, as: ignore'), 'rules[1].because nothing is not text'],
  [
    'an unknown kind',
    rule('path: Image.size, as: ignored, because: x'),
    'rules[1].as "ignored" is not one of ignore, missing, extra, present, id, prefix, time, range, set',
  ],
  [
    'an unknown field',
    rule('path: ContainerStatus.status.imge_id, as: id, because: x'),
    'rules[1].path ContainerStatus has no field imge_id: is image_id meant?',
  ],
  [
    'an unknown method',
    rule('path: ContainerStat.x, as: id, because: x'),
    'rules[1].path CRI has no method or message ContainerStat: is ContainerStats meant?',
  ],
  [
    'an unknown field of a message',
    rule('path: Image.sise, as: ignore, because: x'),
    'rules[1].path Image has no field sise: is size meant?',
  ],
  [
    'a field that no message has',
    rule("path: '*.nowhere_at', as: ignore, because: x"),
    'rules[1].path none of the messages there has a field nowhere_at',
  ],
  [
    'a path that lacks a step',
    rule("path: 'Image..size', as: ignore, because: x"),
    'rules[1].path "Image..size" is not a path',
  ],
  [
    'a path of only a method',
    rule('path: StopContainer, as: ignore, because: x'),
    'rules[1].path "StopContainer" names no field',
  ],
  [
    'a kind that applies only to other fields',
    rule('path: Image.size, as: time, because: x'),
    'rules[1].as time applies to times in nanoseconds, but Image.size is something else',
  ],
  [
    'a set for a field that is no list',
    rule('path: Image.id, as: set, because: x'),
    'rules[1].as set applies to lists, but Image.id is something else',
  ],
  [
    'a kind for a pseudo field',
    rule('path: Stop*.@status, as: id, because: x'),
    'rules[1].as id applies to text, but Stop*.@status is something else',
  ],
  [
    'an unknown side',
    rule('path: Image.size, as: ignore, because: x, only: {c: docker}'),
    'rules[1].only.c is unknown',
  ],
  [
    'an invalid version',
    rule("path: Image.size, as: ignore, because: x, only: {b: 'docker ~ 3'}"),
    'rules[1].only.b "docker ~ 3" is not a runtime\'s name with optional versions',
  ],
  [
    'an invalid value',
    rule('path: Image.size, as: ignore, because: x, values: [[]]'),
    'rules[1].values[0] [] is not text, a number, true or false',
  ],
  [
    'a space in a rule that is not about ids',
    rule('path: Image.size, as: ignore, because: x, space: s'),
    'rules[1].space is allowed only with `as: id`',
  ],
  [
    'own values without only.any',
    rule('path: Image.size, as: ignore, because: x, own: [s], only: {a: docker}'),
    'rules[1].own is allowed only with only.any',
  ],
  [
    'a request with an unknown field',
    rule("path: 'ListImages.images.@item', as: extra, because: x, asked: filter.imgae"),
    'rules[1].asked none of the messages there has a field imgae: is image meant?',
  ],
  [
    'a mark that is no boolean',
    rule("path: Image.size, as: ignore, because: x, brief: 'yes'"),
    'rules[1].brief "yes" is not true or false',
  ],
])('a rules file with %s is refused, with the key in the error', (_, text, error) => {
  expect(() => readRules(text, 'f')).toThrow(error.replace(/^(the file|\S+) /, '$1: '));
});

it('the shipped rules are valid, and the names of the runtimes select them', () => {
  const sources = (a: string, b: string): string[] => [
    ...new Set(rulesFor({ name: a, version: '1' }, { name: b, version: '1' }).map(({ source }) => source)),
  ];
  expect(sources('docker', 'containerd')).toEqual(['docker', 'containerd', 'base']);
  expect(sources('cri-o', 'CRI-O')).toEqual(['cri-o', 'base']);
  expect(sources('toString', '')).toEqual(['base']);
});

describe('a path of a rule', () => {
  const place = (method: string, side: Place['side'], ...steps: string[]): Place => ({
    ...{ method, side },
    steps: steps.map((step) => {
      const [, message = '', field = '', key] = /^(\w+)\.([@\w]+)(?:\[(.*)\])?$/.exec(step) ?? [];
      return { message, field, key };
    }),
  });
  const status = place(
    'ContainerStatus',
    'response',
    'ContainerStatusResponse.status',
    'ContainerStatus.labels[a.b/c]',
  );

  it.each([
    ['ContainerStatus.status.labels', true],
    ['Container*.status.labels', true],
    ['ContainerStatus.status.labels[a.*]', true],
    ['ContainerStatus.status.labels[x]', false],
    ['ContainerStatus.labels', true],
    ['ContainerConfig.labels', false],
    ['*.labels', true],
    ['*.status.labels', true],
    ['*.state', false],
    ['ContainerStatus.status.@unknown', false],
  ])('%s means a label of a status: %s', (path, isMeant) => {
    expect(readPath(path).matches(status)).toBe(isMeant);
  });

  it('can name a field of a request', () => {
    const asked = place(
      'CreateContainer',
      'request',
      'CreateContainerRequest.config',
      'ContainerConfig.labels[x]',
    );
    expect(pathOf(asked)).toBe('CreateContainer.request.config.labels[x]');
    expect(readPath('CreateContainer.request.config.labels').matches(asked)).toBe(true);
    expect(readPath('ContainerConfig.labels').matches(asked)).toBe(true);
    expect(readPath('CreateContainer.request.config.labels').matches(status)).toBe(false);
  });
});

it.each([
  ['containerd', '1.6', true],
  ['Containerd < 2.2', '2.1.4-rc.1', true],
  ['containerd < 2.2', 'v2.2.0', false],
  ['containerd >= 1.7 < 2.2', '1.6.9', false],
  ['containerd >= 1.7 < 2.2', '1.7.1', true],
  ['containerd = 2.1', '2.1.9', true],
  ['containerd <= 2.10', '2.9', true],
  ['docker', '1', false],
])('the condition "%s" matches containerd %s: %s', (text, version, matches) => {
  expect(runtimeMatch(text, 'only.b')({ name: 'containerd', version })).toBe(matches);
});
