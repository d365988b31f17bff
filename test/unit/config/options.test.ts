import {
  environmentName,
  ignoredOptions,
  OPTIONS,
  resolveSettings,
  sourcedOptions,
} from '../../../src/config/options';
import { unknownVariables } from '../../../src/config/fault';
import { thrownBy } from '../support/errors';

describe('the option table', () => {
  const names = Object.values(OPTIONS).map(({ name }) => name);

  it('has each name once, in lower case with dashes', () => {
    expect(new Set(names).size).toBe(names.length);
    expect(names.filter((name) => !/^[a-z0-9]+(-[a-z0-9]+)*$/.test(name))).toEqual([]);
  });

  it.each(Object.values(OPTIONS))('has a valid default for --$name', ({ parse, fallback, name }) => {
    expect(() => parse(fallback, name)).not.toThrow();
  });

  it.each([
    'container-runtime-endpoint',
    'docker-endpoint',
    'pod-infra-container-image',
    'network-plugin',
    'cni-conf-dir',
    'cni-bin-dir',
    'cni-cache-dir',
    'pod-cidr',
    'runtime-request-timeout',
    'log-level',
    'image-pull-progress-deadline',
    'streaming-bind-addr',
    'ipv6-dual-stack',
    'network-plugin-mtu',
    'hairpin-mode',
    'cri-dockerd-root-directory',
    'runtime-cgroups',
  ])("has cri-dockerd's --%s", (name) => expect(names).toContain(name));
});

it('environmentName turns the name of an option into that of its variable', () =>
  expect(environmentName('log-level')).toBe('DOCKBRIDGE_LOG_LEVEL'));

describe('resolveSettings', () => {
  it.each([
    { desc: 'the default', given: {}, environment: {}, level: 'info' },
    {
      desc: 'the environment before the default',
      given: {},
      environment: { DOCKBRIDGE_LOG_LEVEL: 'debug' },
      level: 'debug',
    },
    {
      desc: 'the flag before the environment',
      given: { 'log-level': 'error' },
      environment: { DOCKBRIDGE_LOG_LEVEL: 'debug' },
      level: 'error',
    },
    {
      desc: 'the flag before an invalid variable',
      given: { 'log-level': 'error' },
      environment: { DOCKBRIDGE_LOG_LEVEL: 'x' },
      level: 'error',
    },
    {
      desc: 'the default, and no unrelated variable',
      given: {},
      environment: { LOG_LEVEL: 'debug' },
      level: 'info',
    },
  ])('uses $desc', ({ given, environment, level }) => {
    expect(resolveSettings(given, environment).logLevel).toBe(level);
  });

  describe("a wrapper's default", () => {
    const wrapper = { DOCKBRIDGE_DEFAULT_NETWORK_PLUGIN: 'cni' };
    const file = {
      'network-plugin': { text: 'no-op', from: 'file', place: 'config.yaml:1: network-plugin' },
    } as const;
    it.each([
      ['applies if no other source sets the option', {}, {}, {}, 'cni'],
      ['applies even with --observe', { observe: 'true' }, {}, {}, 'cni'],
      ['yields to a file', {}, {}, file, 'no-op'],
      ['yields to the environment', {}, { DOCKBRIDGE_NETWORK_PLUGIN: 'auto' }, file, 'auto'],
      ['yields to an empty variable', {}, { DOCKBRIDGE_NETWORK_PLUGIN: '' }, {}, ''],
      ['yields to a flag', { 'network-plugin': 'no-op' }, { DOCKBRIDGE_NETWORK_PLUGIN: 'auto' }, {}, 'no-op'],
    ])('%s', (_desc, given, environment, files, expected) => {
      expect(resolveSettings(given, { ...wrapper, ...environment }, files).networkPlugin).toBe(expected);
    });

    it('is shown as a default, with the variable as its place', () => {
      const [, , value] = sourcedOptions({}, wrapper).find(([key]) => key === 'networkPlugin') ?? [];
      expect(value).toEqual({ text: 'cni', from: 'default', place: 'DOCKBRIDGE_DEFAULT_NETWORK_PLUGIN' });
      expect(unknownVariables(wrapper)).toEqual([]);
    });
  });

  it('parses durations and booleans', () => {
    const settings = resolveSettings({ 'runtime-request-timeout': '5s', 'ipv6-dual-stack': 'true' }, {});
    expect(settings).toMatchObject({
      runtimeRequestTimeout: 5000,
      ipv6DualStack: true,
      containerLogMaxFiles: 4,
    });
  });

  it('gives an observer another socket and no metrics address, unless an option says otherwise', () => {
    const plain = resolveSettings({}, {});
    const observing = resolveSettings({ observe: 'true' }, {});
    expect([plain.observe, observing.observe]).toEqual([false, true]);
    expect(plain.endpoint).toBe('unix:///var/run/cri-dockerd.sock');
    expect(observing.endpoint).toBe('unix:///run/dockbridge-observe.sock');
    expect(observing.metricsAddress).toBe('off');
    expect(resolveSettings({ observe: 'True' }, {}).metricsAddress).toBe('off');
    const given = { observe: 'true', 'container-runtime-endpoint': 'unix:///x' };
    expect(resolveSettings(given, {}).endpoint).toBe('unix:///x');
  });

  it("accepts '' where it has a meaning", () => {
    expect(resolveSettings({ 'docker-endpoint': '' }, {}).dockerEndpoint).toBe('');
    expect(resolveSettings({}, { DOCKBRIDGE_DOCKER_ENDPOINT: '' }).dockerEndpoint).toBe('');
  });

  it.each([
    { desc: 'the flag', given: { 'log-level': 'x' }, environment: {}, source: '--log-level' },
    {
      desc: 'the variable',
      given: {},
      environment: { DOCKBRIDGE_LOG_LEVEL: 'x' },
      source: 'DOCKBRIDGE_LOG_LEVEL',
    },
    {
      desc: 'the flag over the variable',
      given: { 'log-level': 'x' },
      environment: { DOCKBRIDGE_LOG_LEVEL: 'y' },
      source: '--log-level',
    },
  ])('names the source of an invalid value: $desc', ({ given, environment, source }) => {
    expect(thrownBy(() => resolveSettings(given, environment))).toMatch(`INVALID_ARGUMENT ${source}: "x"`);
  });
});

describe('ignoredOptions', () => {
  it.each([
    { desc: 'no option', given: {}, environment: {}, names: [] },
    { desc: 'an option that has an effect', given: { 'log-level': 'debug' }, environment: {}, names: [] },
    { desc: 'an ignored flag', given: { 'hairpin-mode': 'none' }, environment: {}, names: ['hairpin-mode'] },
    {
      desc: 'an ignored variable',
      given: {},
      environment: { DOCKBRIDGE_RUNTIME_CGROUPS: '' },
      names: ['runtime-cgroups'],
    },
    {
      desc: 'an ignored option in both, named once',
      given: { 'hairpin-mode': 'none' },
      environment: { DOCKBRIDGE_HAIRPIN_MODE: 'none' },
      names: ['hairpin-mode'],
    },
  ])('returns $names for $desc', ({ given, environment, names }) => {
    const ignored = ignoredOptions(given, environment);
    expect(ignored.map(({ name }) => name)).toEqual(names);
    expect(ignored.every(({ why }) => why !== '')).toBe(true);
  });
});
