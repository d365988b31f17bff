import type { FileValues } from '../../../src/config/options';
import { overriddenValues, overrideLine } from '../../../src/config/overrides';

const inFile = (values: Record<string, string>): FileValues =>
  Object.fromEntries(
    Object.entries(values).map(([name, text], line) => [
      name,
      {
        text,
        from: 'file',
        place: `/c.yaml:${line + 1}: ${name}`,
        at: { file: '/c.yaml', line: line + 1 },
      },
    ]),
  );

const lines = (files: FileValues, given = {}, environment = {}): string[] =>
  overriddenValues(given, environment, files).map(overrideLine);

describe('overriddenValues', () => {
  it('names file, line, both values, and the variable or flag that wins', () =>
    expect(
      lines(
        inFile({ 'log-level': 'debug', 'cni-timeout': '3s', 'state-dir': '/s' }),
        { 'cni-timeout': '4s' },
        { DOCKBRIDGE_LOG_LEVEL: 'warn', DOCKBRIDGE_CNI_TIMEOUT: '5s' },
      ).sort(),
    ).toEqual([
      '/c.yaml:1: log-level: debug has no effect, because DOCKBRIDGE_LOG_LEVEL sets warn',
      '/c.yaml:2: cni-timeout: 3s has no effect, because --cni-timeout sets 4s',
    ]));

  it('omits values that mean the same', () =>
    expect(
      lines(inFile({ 'cni-timeout': '60s', 'log-level': 'info' }), {}, { DOCKBRIDGE_CNI_TIMEOUT: '1m' }),
    ).toEqual([]));

  it('omits a flag whose value is a mistake, which is reported as such', () =>
    expect(lines(inFile({ 'cni-timeout': '60s' }), { 'cni-timeout': 'soon' })).toEqual([]));

  it('quotes an empty value, and hides passwords in addresses', () => {
    expect(lines(inFile({ 'pod-cidr': '10.1.0.0/24' }), { 'pod-cidr': '' })).toEqual([
      "/c.yaml:1: pod-cidr: 10.1.0.0/24 has no effect, because --pod-cidr sets ''",
    ]);
    expect(
      lines(inFile({ 'docker-endpoint': 'tcp://a:secret@h:1' }), { 'docker-endpoint': 'tcp://b:secret@h:1' }),
    ).toEqual([
      '/c.yaml:1: docker-endpoint: tcp://***@h:1 has no effect, because --docker-endpoint sets tcp://***@h:1',
    ]);
  });
});
