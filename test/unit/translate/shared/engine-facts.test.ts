import type { EngineInfo } from '../../../../src/engine/types';
import {
  featuresFor,
  isAtLeast,
  runtimeOf,
  toEngineRuntime,
  toFacts,
} from '../../../../src/translate/shared/engine-facts';
import { thrownBy } from '../../support/errors';
import { sandboxRecord } from '../../support/records';

const FEATURES = 'org.opencontainers.runtime-spec.features';
const INFO: EngineInfo = {
  DockerRootDir: '/var/lib/docker',
  CgroupDriver: 'systemd',
  Driver: 'overlay2',
  DefaultRuntime: 'runc',
  OperatingSystem: 'Debian',
  KernelVersion: '6.1.0-13-amd64',
};
const RUNC = { status: { [FEATURES]: '{"mountOptions":["ro","rro"]}' } };

function facts(info: Partial<EngineInfo>, ApiVersion = '1.51') {
  return toFacts({ Version: '28.5.2', ApiVersion, Os: 'linux', Arch: 'amd64' }, { ...INFO, ...info });
}

describe('the features of an Engine', () => {
  it('are unknown before its first answer', () => {
    expect(featuresFor(undefined, '')).toEqual({
      version: 'unknown',
      recursiveReadOnly: false,
      imageMounts: false,
      cdi: false,
    });
  });

  it.each([
    ['1.41', false],
    ['1.47', false],
    ['1.48', true],
    ['1.51', true],
    ['2.0', true],
  ])('include image mounts in API %s: %p', (api, expected) => {
    expect(featuresFor(facts({}, api), '').imageMounts).toBe(expected);
  });

  it.each([
    [{ CDISpecDirs: null }, false],
    [{}, false],
    [{ CDISpecDirs: [] }, false],
    [{ CDISpecDirs: ['/etc/cdi'] }, true],
  ])('include CDI if the Engine reports %j: %p', (info, expected) => {
    expect(featuresFor(facts(info), '').cdi).toBe(expected);
  });

  describe('for recursive read-only mounts', () => {
    const offered = (info: Partial<EngineInfo>, handler = '', api?: string): boolean =>
      featuresFor(facts(info, api), handler).recursiveReadOnly;

    it('need the support of the runtime, the kernel and the Engine', () => {
      const Runtimes = { runc: RUNC, crun: {} };
      expect(offered({ Runtimes })).toBe(true);
      expect(offered({ Runtimes }, '', '1.43')).toBe(false);
      expect(offered({ Runtimes, KernelVersion: '5.10.0' })).toBe(false);
      expect(offered({ Runtimes, KernelVersion: '5.12.1+' })).toBe(true);
    });

    it('are those of the requested runtime', () => {
      const Runtimes = { runc: RUNC, crun: {} };
      expect(
        ['', 'docker', 'runc', 'crun', 'absent'].map((handler) => offered({ Runtimes }, handler)),
      ).toEqual([true, true, true, false, false]);
      expect(offered({ Runtimes, DefaultRuntime: 'crun' })).toBe(false);
    });

    it.each(['', '{', 'null', '[]', '{}', '{"mountOptions":"rro"}', '{"mountOptions":["ro"]}'])(
      'are missing for a runtime that reports %p',
      (text) => expect(offered({ Runtimes: { runc: { status: { [FEATURES]: text } } } })).toBe(false),
    );

    it('are missing for a runtime that reports nothing', () => {
      expect(offered({ Runtimes: { runc: { status: null } } })).toBe(false);
      expect(offered({ Runtimes: null })).toBe(false);
    });
  });
});

it.each([
  ['1.48', '1.48', true],
  ['1.9', '1.48', false],
  ['6.18.44-fc-v657', '5.12', true],
  ['5.9', '5.12', false],
  ['', '1.0', false],
])('%p is at least %p: %p', (version, wanted, expected) => {
  expect(isAtLeast(version, wanted)).toBe(expected);
});

const OLD = { runtimes: ['crun', 'io.containerd.runc.v2', 'runc'], apiVersion: '1.41' };
const NEW = { ...OLD, apiVersion: '1.42' };

describe('a runtime handler', () => {
  it.each(['', 'docker'])('%p is the default', (handler) => {
    expect(toEngineRuntime(handler, OLD, 'f')).toBeUndefined();
  });

  it.each(['crun', 'io.containerd.runc.v2'])('%p is configured', (handler) => {
    expect(toEngineRuntime(handler, OLD, 'f')).toBe(handler);
  });

  it.each(['io.containerd.runsc.v1', 'com.example.my-shim.v2', 'a.v1'])(
    '%p is a shim, which needs API 1.42',
    (handler) => {
      expect(toEngineRuntime(handler, NEW, 'f')).toBe(handler);
      expect(thrownBy(() => toEngineRuntime(handler, OLD, 'f'))).toMatch(
        new RegExp(
          `^INVALID_ARGUMENT f: "${handler}" is a containerd shim, which needs Docker Engine 23\\.0`,
        ),
      );
    },
  );

  it.each(['kata', '/usr/bin/shim.v1', '../a.v1', '.v1', 'a..v1', 'a.v1/', 'Docker'])(
    '%p is refused as unknown',
    (handler) => {
      expect(thrownBy(() => toEngineRuntime(handler, NEW, 'f'))).toMatch(
        /^INVALID_ARGUMENT f: .*crun, io\.containerd\.runc\.v2, runc.*daemon\.json/,
      );
    },
  );
});

describe('the runtime of a container', () => {
  it.each([
    { desc: 'the default when its sandbox was created', runtime: 'runsc', runtimeHandler: '', is: 'runsc' },
    { desc: 'the handler’s runtime', runtime: 'crun', runtimeHandler: 'crun', is: 'crun' },
    { desc: 'cri-dockerd’s default', runtime: 'runc', runtimeHandler: 'docker', is: 'runc' },
    {
      desc: 'the Engine’s default if the sandbox’s record names no runtime',
      runtime: '',
      runtimeHandler: 'docker',
      is: '',
    },
    {
      desc: 'the handler’s runtime if the sandbox’s record names no runtime',
      runtime: '',
      runtimeHandler: 'crun',
      is: 'crun',
    },
  ])('is that of its sandbox: $desc', ({ runtime, runtimeHandler, is }) => {
    expect(runtimeOf(sandboxRecord({ runtime, runtimeHandler }))).toBe(is);
  });
});
