import {
  isAtLeast,
  isKnownVersion,
  parseCachedConfig,
  parseNetworkList,
  parseSinglePlugin,
  wantsCapability,
  type NetworkConfig,
} from '../../../src/network/cni/network-config';
import { thrownBy } from '../support/errors';
import { listOf } from './fake-plugins';

const parsed = (list: object): NetworkConfig => parseNetworkList(JSON.stringify(list));

describe('a network configuration', () => {
  it.each([
    ['nothing', '', 'is not a JSON object'],
    ['a list', '[]', 'is not a JSON object'],
    ['no name', { plugins: [{ type: 'a' }] }, 'has no "name"'],
    [
      'a name that would leave the cache',
      listOf(['a'], { name: '../x' }),
      '"name": "../x" is not a network name',
    ],
    ['no plugins', listOf([]), '"plugins" is empty'],
    ['plugins that are not a list', listOf([], { plugins: {} }), '"plugins" is not a list'],
    ['a plugin without type', listOf([{}]), 'plugins[0] has no "type"'],
    [
      'a second plugin that is not an object',
      listOf(['a', 'b'], { plugins: [{ type: 'a' }, 1] }),
      'plugins[1] is not an object',
    ],
    ['a name that is not text', listOf(['a'], { name: 5 }), 'has no "name"'],
    ['an empty name', listOf(['a'], { name: '' }), 'has no "name"'],
    ['a name with a slash in it', listOf(['a'], { name: 'a/b' }), '"name": "a/b" is not a network name'],
    [
      'a plugin named after the directory itself',
      listOf(['.']),
      'plugins[0]: "type" "." is a path, not a name',
    ],
    [
      'a plugin named after the parent directory',
      listOf(['..']),
      'plugins[0]: "type" ".." is a path, not a name',
    ],
    [
      'an invalid value of disableGC',
      listOf(['a'], { disableGC: 'yes' }),
      '"disableGC" is neither true nor false',
    ],
    [
      'only unsupported versions',
      listOf(['a'], { cniVersion: '9.9.9', cniVersions: ['8.0.0'] }),
      'CNI version 8.0.0, 9.9.9 is not known; this runtime supports 0.1.0 to 1.1.0',
    ],
    [
      'a plugin in another directory',
      listOf(['../evil']),
      'plugins[0]: "type" "../evil" is a path, not a name',
    ],
    [
      'invalid capabilities',
      listOf([{ type: 'a', capabilities: [] }]),
      'plugins[0]: "capabilities" is not an object',
    ],
    [
      'an invalid value of disableCheck',
      listOf(['a'], { disableCheck: 1 }),
      '"disableCheck" is neither true nor false',
    ],
    [
      'an unsupported version',
      listOf(['a'], { cniVersion: '9.9.9' }),
      'CNI version 9.9.9 is not known; this runtime supports 0.1.0 to 1.1.0',
    ],
  ])('with %s is refused', (_, config, error) => {
    const text = typeof config === 'string' ? config : JSON.stringify(config);
    expect(thrownBy(() => parseNetworkList(text))).toBe(`FAILED_PRECONDITION ${error}`);
  });

  it('of several versions uses the newest that dockbridge knows', () => {
    const several = listOf(['a'], { cniVersion: '0.4.0', cniVersions: ['0.3.1', '1.0.0', '7.0.0'] });
    expect(parseNetworkList(JSON.stringify(several)).cniVersion).toBe('1.0.0');
  });

  it('with one plugin becomes a list', () => {
    const config = parseSinglePlugin(JSON.stringify({ cniVersion: '0.3.1', name: 'n', type: 'a', mtu: 9 }));
    expect(config).toMatchObject({
      name: 'n',
      cniVersion: '0.3.1',
      plugins: [{ type: 'a', body: { mtu: 9 } }],
    });
    expect(parseNetworkList(config.json)).toEqual(config);
  });

  it.each(['0.1.0', '0.2.0', '0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'])(
    'may be of version %s',
    (version) => {
      expect(parsed(listOf(['a'], { cniVersion: version })).cniVersion).toBe(version);
    },
  );

  it('lists its plugins completely, and keeps its text', () => {
    const plugin = { type: 'b', capabilities: { portMappings: true, bandwidth: false, dns: 1, mac: true } };
    const list = listOf(['a', plugin], { disableCheck: true, disableGC: 'true' });
    expect(parsed(list)).toEqual({
      ...{ name: 'net', cniVersion: '1.0.0', disableCheck: true, disableGc: true },
      plugins: [
        { type: 'a', capabilities: [], body: { type: 'a' } },
        { type: 'b', capabilities: ['portMappings', 'mac'], body: plugin },
      ],
      json: JSON.stringify(list),
    });
  });

  it.each([
    { desc: 'no value', value: undefined, on: false },
    { desc: 'false', value: false, on: false },
    { desc: '"false"', value: 'false', on: false },
    { desc: 'true', value: true, on: true },
    { desc: '"true"', value: 'true', on: true },
  ])('with $desc for disableCheck or disableGC sets that field to $on', ({ value, on }) => {
    const { disableCheck, disableGc } = parsed(listOf(['a'], { disableCheck: value }));
    expect([disableCheck, disableGc]).toEqual([on, false]);
    expect(parsed(listOf(['a'], { disableGC: value })).disableGc).toBe(on);
  });

  it.each([
    ['no version', {}, '0.1.0'],
    ['an empty version', { cniVersion: '' }, '0.1.0'],
    ['several versions and no single one', { cniVersions: ['0.3.1', '0.4.0', 7] }, '0.4.0'],
    ['several versions that are not a list', { cniVersion: '0.4.0', cniVersions: '1.0.0' }, '0.4.0'],
    ['a newer version next to older ones', { cniVersion: '1.0.0', cniVersions: ['0.3.1'] }, '1.0.0'],
  ])('that names %s (%j) gets the version %s', (_, versions, version) => {
    const { cniVersion: __, ...list } = listOf(['a']);
    expect(parsed({ ...list, ...versions }).cniVersion).toBe(version);
  });

  it('includes plugins from other files after its own', () => {
    const [one, two] = [{ type: 'b', mtu: 9 }, { type: 'c' }];
    const config = parseNetworkList(JSON.stringify(listOf(['a'])), [one, two]);
    expect(JSON.parse(config.json)).toEqual(listOf(['a', one, two]));
    expect(parseNetworkList(config.json)).toEqual(config);
    const { plugins: _, ...none } = listOf([]);
    expect(parseNetworkList(JSON.stringify(none), [two]).plugins).toEqual([
      { type: 'c', capabilities: [], body: two },
    ]);
  });

  it('in a file for a single plugin is refused with a list of plugins or without a type', () => {
    const refused = (config: object): string => thrownBy(() => parseSinglePlugin(JSON.stringify(config)));
    expect(refused(listOf(['a']))).toBe(
      'FAILED_PRECONDITION has "plugins", so its name must end in .conflist',
    );
    expect(refused({ name: 'n' })).toBe('FAILED_PRECONDITION plugins[0] has no "type"');
    expect(parseSinglePlugin('{"name":"n","type":"a"}')).toEqual({
      ...{ name: 'n', cniVersion: '0.1.0', disableCheck: false, disableGc: false },
      plugins: [{ type: 'a', capabilities: [], body: { name: 'n', type: 'a' } }],
      json: '{"name":"n","plugins":[{"name":"n","type":"a"}]}',
    });
  });

  it('in the cache is a list or a single plugin', () => {
    expect(parseCachedConfig(JSON.stringify(listOf(['a', 'b']))).plugins).toHaveLength(2);
    expect(parseCachedConfig('{"name":"kubenet","type":"bridge"}').plugins).toHaveLength(1);
    expect(thrownBy(() => parseCachedConfig('{'))).toBe('FAILED_PRECONDITION is not a JSON object');
  });

  it('has every capability that any of its plugins declares', () => {
    const config = parsed(listOf(['a', { type: 'b', capabilities: { dns: true, mac: true } }]));
    expect(['dns', 'mac', 'bandwidth'].map((one) => wantsCapability(config, one))).toEqual([
      ...[true, true, false],
    ]);
  });
});

describe('CNI versions', () => {
  it('are recognized and ordered', () => {
    expect([isKnownVersion('0.4.0'), isKnownVersion('0.5.0'), isKnownVersion('')]).toEqual([
      ...[true, false, false],
    ]);
    expect([isAtLeast('0.4.0', '0.4.0'), isAtLeast('0.4.0', '1.0.0'), isAtLeast('1.1.0', '1.0.0')]).toEqual([
      ...[true, false, true],
    ]);
  });
});
