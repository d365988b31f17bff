import { runtimeOf, toEngineRuntime } from '../../../../src/translate/sandbox/runtime-handler';
import { thrownBy } from '../../support/errors';
import { sandboxRecord } from '../../support/records';

const OLD = { runtimes: ['crun', 'io.containerd.runc.v2', 'runc'], apiVersion: '1.41' };
const NEW = { ...OLD, apiVersion: '1.42' };

describe('a runtime handler', () => {
  it.each(['', 'docker'])('%p is the default', (handler) => {
    expect(toEngineRuntime(handler, OLD, 'f')).toBeUndefined();
  });

  it.each(['crun', 'io.containerd.runc.v2'])('%p is configured', (handler) => {
    expect(toEngineRuntime(handler, OLD, 'f')).toBe(handler);
  });

  it.each(['io.containerd.runsc.v1', 'com.example.my-shim.v2', 'a.v1'])('%p is a shim', (handler) => {
    expect(toEngineRuntime(handler, NEW, 'f')).toBe(handler);
    expect(thrownBy(() => toEngineRuntime(handler, OLD, 'f'))).toMatch(
      new RegExp(`^INVALID_ARGUMENT f: "${handler}" is a containerd shim: needs Docker Engine 23\\.0`),
    );
  });

  it.each(['kata', '/usr/bin/shim.v1', '../a.v1', '.v1', 'a..v1', 'a.v1/', 'Docker'])(
    '%p is none',
    (handler) => {
      expect(thrownBy(() => toEngineRuntime(handler, NEW, 'f'))).toMatch(
        /^INVALID_ARGUMENT f: .*crun, io\.containerd\.runc\.v2, runc.*daemon\.json/,
      );
    },
  );
});

describe('the runtime of a container', () => {
  it.each([
    { desc: 'the default when its sandbox was made', runtime: 'runsc', runtimeHandler: '', is: 'runsc' },
    { desc: 'the handler’s', runtime: 'crun', runtimeHandler: 'crun', is: 'crun' },
    { desc: 'cri-dockerd’s default', runtime: 'runc', runtimeHandler: 'docker', is: 'runc' },
    { desc: 'the Engine’s default where it tells nothing', runtime: '', runtimeHandler: 'docker', is: '' },
    { desc: 'the handler’s where it tells nothing', runtime: '', runtimeHandler: 'crun', is: 'crun' },
  ])('is that of its sandbox: $desc', ({ runtime, runtimeHandler, is }) => {
    expect(runtimeOf(sandboxRecord({ runtime, runtimeHandler }))).toBe(is);
  });
});
