import type { cri } from '../../../../src/proto';
import {
  contentsOfContainer,
  contentsOfSandbox,
  differences,
  type Contents,
} from '../../../../src/translate/shared/contents';
import { decoded } from '../../support/wire';

const container = (config: cri.IContainerConfig, logPath = ''): Contents =>
  contentsOfContainer(decoded('ContainerConfig', config), logPath);
const sandbox = (config: cri.IPodSandboxConfig, handler = ''): Contents =>
  contentsOfSandbox(decoded('PodSandboxConfig', config), handler);
const variable = (key: string, value: string): cri.IKeyValue => ({ key, value: Buffer.from(value) });

describe('the contents of a container', () => {
  it.each<{ desc: string; one: cri.IContainerConfig; other: cri.IContainerConfig }>([
    {
      desc: 'maps in another order',
      one: { labels: { a: '1', b: '2' }, annotations: { c: '3', d: '4' } },
      other: { labels: { b: '2', a: '1' }, annotations: { d: '4', c: '3' } },
    },
    {
      desc: 'variables in another order',
      one: { envs: [variable('A', '1'), variable('B', '2')] },
      other: { envs: [variable('B', '2'), variable('A', '1')] },
    },
    {
      desc: 'sets in another order',
      one: { linux: { security_context: { capabilities: { add_capabilities: ['A', 'B'] } } } },
      other: { linux: { security_context: { capabilities: { add_capabilities: ['B', 'A'] } } } },
    },
    ...[
      ['mounts', 'container_path'] as const,
      ['devices', 'container_path'] as const,
      ['CDI_devices', 'name'] as const,
    ].map(([list, key]) => ({
      desc: `${list} in another order`,
      one: { [list]: [{ [key]: 'a' }, { [key]: 'b' }] },
      other: { [list]: [{ [key]: 'b' }, { [key]: 'a' }] },
    })),
    ...['supplemental_groups', 'masked_paths', 'readonly_paths'].map((list) => {
      const [a, b] = list === 'supplemental_groups' ? [1, 2] : ['/a', '/b'];
      return {
        desc: `${list} in another order`,
        one: { linux: { security_context: { [list]: [a, b] } } },
        other: { linux: { security_context: { [list]: [b, a] } } },
      };
    }),
    {
      desc: 'capabilities dropped in another order',
      one: { linux: { security_context: { capabilities: { drop_capabilities: ['A', 'B'] } } } },
      other: { linux: { security_context: { capabilities: { drop_capabilities: ['B', 'A'] } } } },
    },
    {
      desc: 'huge pages in another order',
      one: { linux: { resources: { hugepage_limits: [{ page_size: '1GB' }, { page_size: '2MB' }] } } },
      other: { linux: { resources: { hugepage_limits: [{ page_size: '2MB' }, { page_size: '1GB' }] } } },
    },
    {
      desc: 'an explicit default',
      one: { linux: { resources: { cpu_shares: 2, cpu_quota: 0 }, security_context: { privileged: false } } },
      other: { linux: { resources: { cpu_shares: 2 }, security_context: {} } },
    },
    {
      desc: 'another attempt',
      one: { metadata: { name: 'a', attempt: 1 } },
      other: { metadata: { name: 'a', attempt: 2 } },
    },
    {
      desc: "a runtime's description of an image",
      one: { image: { image: 'a', image_ref: 'x' }, mounts: [{ image: { image: 'b', image_ref: 'x' } }] },
      other: { image: { image: 'a' }, mounts: [{ image: { image: 'b' } }] },
    },
  ])('are the same with $desc', ({ one, other }) => {
    expect(differences(container(one), container(other))).toEqual([]);
    expect(container(one)).toEqual(container(other));
  });

  it.each<{ desc: string; one: cri.IContainerConfig; other: cri.IContainerConfig; fields: string[] }>([
    {
      desc: 'another value of a variable',
      one: { envs: [variable('A', '1')] },
      other: { envs: [variable('A', '2')] },
      fields: ['config.envs'],
    },
    {
      desc: 'the last value of a repeated variable',
      one: { envs: [variable('A', '1'), variable('A', '2')] },
      other: { envs: [variable('A', '2'), variable('A', '1')] },
      fields: ['config.envs'],
    },
    {
      desc: 'arguments in another order',
      one: { args: ['a', 'b'] },
      other: { args: ['b', 'a'] },
      fields: ['config.args'],
    },
    {
      desc: 'an additional empty argument',
      one: { args: ['a'] },
      other: { args: ['a', ''] },
      fields: ['config.args'],
    },
    {
      desc: 'an additional label without a value',
      one: { labels: {} },
      other: { labels: { a: '' } },
      fields: ['config.labels'],
    },
    {
      desc: 'an empty message in place of none',
      one: { linux: { security_context: {} } },
      other: { linux: { security_context: { run_as_user: { value: 0 } } } },
      fields: ['config.linux.security_context'],
    },
    {
      desc: 'several fields',
      one: { tty: true, linux: { resources: { cpu_shares: 2 } } },
      other: { stdin: true, linux: { resources: { cpu_shares: 3 } } },
      fields: ['config.linux.resources', 'config.stdin', 'config.tty'],
    },
  ])('differ by $desc', ({ one, other, fields }) => {
    expect(differences(container(one), container(other))).toEqual(fields);
    expect(differences(container(other), container(one))).toEqual(fields);
  });

  it('include the file to which the log path leads', () => {
    expect(differences(container({ log_path: 'a' }, '/x/a'), container({ log_path: 'a' }, '/y/a'))).toEqual([
      'config.log_path',
    ]);
  });

  it('reveal nothing about the value of a field', () => {
    expect(JSON.stringify(container({ envs: [variable('TOKEN', 'secret')], args: ['secret'] }))).toMatch(
      /^\{"config.args":"[0-9a-f]{8}","config.envs":"[0-9a-f]{8}"\}$/,
    );
  });
});

describe('the contents of a pod', () => {
  it('include its handler, but no purely informative field', () => {
    const linux = { sysctls: { a: 'b' }, overhead: { cpu_shares: 1 }, resources: { cpu_shares: 2 } };
    expect(differences(sandbox({ linux }), sandbox({ linux: { sysctls: { a: 'b' } } }))).toEqual([]);
    expect(differences(sandbox({ linux }), sandbox({ linux }, 'crun'))).toEqual(['runtime_handler']);
    expect(differences(sandbox({ linux }), sandbox({ linux, hostname: 'a' }))).toEqual(['config.hostname']);
  });

  it('are the same with its ports in another order', () => {
    const [a, b] = [{ container_port: 80 }, { container_port: 81 }];
    expect(sandbox({ port_mappings: [a, b] })).toEqual(sandbox({ port_mappings: [b, a] }));
    expect(differences(sandbox({ port_mappings: [a] }), sandbox({ port_mappings: [b] }))).toEqual([
      'config.port_mappings',
    ]);
  });
});
