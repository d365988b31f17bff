import { callSubject } from '../../../src/server/call';

const POD = { metadata: { name: 'web-0', uid: 'u', namespace: 'shop', attempt: 1 } };

describe('callSubject', () => {
  it('names the requested pod and its new sandbox', () => {
    expect(callSubject({ config: POD, runtime_handler: 'runc' }, { pod_sandbox_id: 'abc' })).toEqual({
      pod: 'shop/web-0',
      sandbox: 'abc',
    });
  });

  it('names the pod, sandbox, container and container name of a CreateContainer', () => {
    const config = {
      metadata: { name: 'nginx', attempt: 0 },
      image: { image: 'nginx:1' },
      envs: [{ key: 'A' }],
    };
    expect(
      callSubject({ pod_sandbox_id: 'abc', config, sandbox_config: POD }, { container_id: 'def' }),
    ).toEqual({ pod: 'shop/web-0', sandbox: 'abc', name: 'nginx', container: 'def' });
  });

  it('names the image and the pod of a PullImage, without credentials', () => {
    const request = { image: { image: 'nginx:1' }, auth: { password: 'secret' }, sandbox_config: POD };
    expect(callSubject(request, { image_ref: 'sha256:1' })).toEqual({ image: 'nginx:1', pod: 'shop/web-0' });
  });

  it.each([
    { container_id: '', pod_sandbox_id: '' },
    { config: null, sandbox_config: null, image: null },
    { config: { metadata: null } },
    {},
    null,
    undefined,
    Buffer.from('encoded'),
  ])('names nothing for %j', (message) => {
    expect(callSubject(message)).toEqual({});
  });
});
