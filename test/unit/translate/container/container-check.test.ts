import { SecurityProfileType } from '../../../../src/proto/enums';
import { checkContainer } from '../../../../src/translate/container/container-check';
import { codeAndField } from '../../support/errors';
import { sandboxRecord } from '../../support/records';
import { decoded, unknownEnum } from '../../support/wire';

type Given = Parameters<typeof decoded<'ContainerConfig'>>[1];
const SANDBOX = sandboxRecord();
const MINIMAL: Given = { metadata: { name: 'app' }, image: { image: 'busybox' } };
const context = (over: object): Given => ({ ...MINIMAL, linux: { security_context: over } });

describe('checkContainer', () => {
  const check = (given: Given) => checkContainer(decoded('ContainerConfig', given), SANDBOX);
  const SECURITY = 'config.linux.security_context';

  it('accepts a privileged debug container in a pod that kubelet has updated to privileged', () => {
    const config = decoded('ContainerConfig', context({ privileged: true }));
    const pod = (privileged: boolean) =>
      decoded('PodSandboxConfig', { linux: { security_context: { privileged } } });
    for (const podConfig of [null, pod(false)]) {
      const refused = codeAndField(() => checkContainer(config, SANDBOX, podConfig));
      expect(refused).toBe(`FAILED_PRECONDITION ${SECURITY}.privileged`);
    }
    const allowed = [checkContainer(config, SANDBOX, pod(true))];
    allowed.push(checkContainer(config, { ...SANDBOX, privileged: true }, pod(false)));
    for (const { config: checked } of allowed) expect(checked.linux?.security_context?.privileged).toBe(true);
  });

  it('refuses a missing config', () => {
    expect(codeAndField(() => checkContainer(null, SANDBOX))).toBe('INVALID_ARGUMENT config');
  });

  it.each<{ desc: string; given: Given; error: string }>([
    { desc: 'no metadata', given: { image: { image: 'a' } }, error: 'INVALID_ARGUMENT config.metadata' },
    { desc: 'no name', given: { ...MINIMAL, metadata: {} }, error: 'INVALID_ARGUMENT config.metadata.name' },
    {
      desc: 'NUL in the name',
      given: { ...MINIMAL, metadata: { name: 'a\0' } },
      error: 'INVALID_ARGUMENT config.metadata.name',
    },
    { desc: 'no image', given: { metadata: { name: 'a' } }, error: 'INVALID_ARGUMENT config.image' },
    {
      desc: 'an empty image',
      given: { ...MINIMAL, image: {} },
      error: 'INVALID_ARGUMENT config.image.image',
    },
    {
      desc: 'a label of 10 MiB',
      given: { ...MINIMAL, labels: { a: 'x'.repeat(10 << 20) } },
      error: 'INVALID_ARGUMENT config.labels',
    },
    {
      desc: 'an annotation of 10 MiB',
      given: { ...MINIMAL, annotations: { a: 'x'.repeat(10 << 20) } },
      error: 'INVALID_ARGUMENT config.annotations',
    },
    { desc: 'Windows', given: { ...MINIMAL, windows: {} }, error: 'UNIMPLEMENTED config.windows' },
    {
      desc: "an image for another runtime than the pod's",
      given: { ...MINIMAL, image: { image: 'busybox', runtime_handler: 'kata' } },
      error: 'INVALID_ARGUMENT config.image.runtime_handler',
    },
    {
      desc: "an image mount for another runtime than the pod's",
      given: {
        ...MINIMAL,
        mounts: [{ container_path: '/i', readonly: true, image: { image: 'app', runtime_handler: 'kata' } }],
      },
      error: 'INVALID_ARGUMENT config.mounts[0].image.runtime_handler',
    },
    {
      desc: 'an invalid mount',
      given: { ...MINIMAL, mounts: [{}] },
      error: 'INVALID_ARGUMENT config.mounts[0].container_path',
    },
    {
      desc: 'privileged in a sandbox that is not privileged',
      given: context({ privileged: true }),
      error: `FAILED_PRECONDITION ${SECURITY}.privileged`,
    },
    {
      desc: 'an unknown namespace mode',
      given: context({ namespace_options: { pid: unknownEnum(8) } }),
      error: `INVALID_ARGUMENT ${SECURITY}.namespace_options.pid`,
    },
    {
      desc: 'a relative seccomp profile',
      given: context({ seccomp: { profile_type: SecurityProfileType.Localhost, localhost_ref: 'x' } }),
      error: `INVALID_ARGUMENT ${SECURITY}.seccomp.localhost_ref`,
    },
  ])('refuses $desc', ({ given, error }) => expect(codeAndField(() => check(given))).toBe(error));

  it.each([
    { desc: "no context means the Engine's default", given: MINIMAL, kind: 'engine-default' },
    { desc: 'an empty context means unconfined', given: context({}), kind: 'unconfined' },
  ])('sets seccomp: $desc', ({ given, kind }) => expect(check(given).seccomp.kind).toBe(kind));
});

describe('the log path', () => {
  it.each([
    {
      desc: "cri-dockerd's sandbox",
      known: '',
      given: '/var/log/pods/p',
      expected: '/var/log/pods/p/app/0.log',
    },
    {
      desc: 'a sandbox of ours',
      known: '/var/log/pods/q',
      given: '/var/log/pods/p',
      expected: '/var/log/pods/q/app/0.log',
    },
  ])('is computed for a container in $desc', ({ known, given, expected }) => {
    const config = decoded('ContainerConfig', { ...MINIMAL, log_path: 'app/0.log' });
    const podConfig = decoded('PodSandboxConfig', { log_directory: given });
    expect(checkContainer(config, { ...SANDBOX, logDirectory: known }, podConfig).logPath).toBe(expected);
  });

  it("is refused in cri-dockerd's sandbox if the log directory of the request is relative", () => {
    const config = decoded('ContainerConfig', { ...MINIMAL, log_path: 'app/0.log' });
    const podConfig = decoded('PodSandboxConfig', { log_directory: '../p' });
    const check = () => checkContainer(config, { ...SANDBOX, logDirectory: '' }, podConfig);
    expect(codeAndField(check)).toBe('INVALID_ARGUMENT sandbox_config.log_directory');
  });

  const logPath = (directory: string, path: string) =>
    checkContainer(decoded('ContainerConfig', { ...MINIMAL, log_path: path }), {
      ...SANDBOX,
      logDirectory: directory,
    }).logPath;

  it.each([
    { directory: '/var/log/pods/p', path: 'app/0.log', expected: '/var/log/pods/p/app/0.log' },
    { directory: '/var/log/pods/p/', path: 'app/0.log', expected: '/var/log/pods/p/app/0.log' },
    { directory: '/var/log/pods/p', path: '/app/0.log', expected: '/var/log/pods/p/app/0.log' },
    { directory: '/var/log/pods/p', path: 'a/../b.log', expected: '/var/log/pods/p/b.log' },
    { directory: '/', path: 'a.log', expected: '/a.log' },
    { directory: '/var/log/pods/p', path: '', expected: '' },
    { directory: '', path: 'app/0.log', expected: '' },
  ])('of "$path" in "$directory" is "$expected"', ({ directory, path, expected }) =>
    expect(logPath(directory, path)).toBe(expected),
  );

  it.each(['../x.log', 'a/../../x.log', '..', '.', '/', '../p-2/x.log', 'x\0'])('may not be %p', (path) => {
    expect(codeAndField(() => logPath('/var/log/pods/p', path))).toBe('INVALID_ARGUMENT config.log_path');
  });
});
