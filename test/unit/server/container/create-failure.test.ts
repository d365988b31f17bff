import { EngineError } from '../../../../src/docker/errors';
import { explainCreateFailure, explainSandboxRefusal } from '../../../../src/server/container/create-failure';
import { checkContainer } from '../../../../src/translate/container/container-check';
import { engineId, sandboxRecord } from '../../support/records';
import { decoded } from '../../support/wire';

const TARGET = engineId('c7');
const SANDBOX = engineId('a1');
const MOUNTED = `sha256:${engineId('d')}`;
const refusal = (status: number, text: string): EngineError => new EngineError('NOT_FOUND', status, text);

/** A container of `app:1` that mounts the image `models:1` and shares the process namespace of TARGET. */
function explained(status: number, text: string): string {
  const config = decoded('ContainerConfig', {
    metadata: { name: 'app' },
    image: { image: 'app:1' },
    mounts: [
      { container_path: '/host', host_path: '/srv' },
      { container_path: '/models', readonly: true, image: { image: 'models:1' } },
    ],
  });
  const checked = checkContainer(config, sandboxRecord());
  const mounts = checked.mounts.map((mount) =>
    mount.image === undefined ? mount : { ...mount, image: { ...mount.image, id: MOUNTED } },
  );
  const namespaces = { ...checked.namespaces, targetId: TARGET };
  return (explainCreateFailure(refusal(status, text), { ...checked, mounts, namespaces }) as Error).message;
}

describe('a 404 of the Engine', () => {
  it.each([
    ['No such image: app:1', /^config\.image\.image: image "app:1" is not on this node; pull it first \(No/],
    ['image app:1: not found', /^config\.image\.image: /],
    [`No such image: ${MOUNTED}`, /^config\.mounts\[1\]\.image\.image: image "models:1" is not on this node/],
    [`No such container: ${SANDBOX}`, /^pod_sandbox_id: No such container: a1/],
    [
      `No such container: ${TARGET}`,
      /^config\.linux\.security_context\.namespace_options\.target_id: No such container: c7/,
    ],
    ['plugin "nfs" not found', /^plugin "nfs" not found$/],
  ])('with the text "%s" becomes an error that matches %s', (text, says) => {
    expect(explained(404, text)).toMatch(says);
  });
});

it('an error that is not a 404 is blamed on no object, whatever its text says', () => {
  expect(explained(409, 'No such image: app:1')).toBe('No such image: app:1');
});

describe('a runtime that daemon.json no longer has', () => {
  it.each(['unknown or invalid runtime name: kata', 'Unknown runtime specified kata'])(
    'is blamed on the pod of a container, and on the runtime handler of a sandbox: "%s"',
    (text) => {
      expect(explained(400, text)).toBe(`pod_sandbox_id: ${text}`);
      expect(explainSandboxRefusal(refusal(400, text))).toMatchObject({
        message: `runtime_handler: ${text}`,
      });
    },
  );
});

it('a name conflict or a missing object is blamed on no field, even if a pod or network is named like one', () => {
  const taken = refusal(409, 'Conflict. The container name "/k8s_POD_label-hostname_x" is already in use');
  expect(explainSandboxRefusal(taken)).toBe(taken);
  const missing = refusal(404, 'network label-net not found');
  expect(explainSandboxRefusal(missing)).toBe(missing);
});

it('a sandbox refusal that names no field, and any other error, is passed on unchanged', () => {
  const refused = refusal(500, 'no space left on device');
  expect(explainSandboxRefusal(refused)).toBe(refused);
  const other = new Error('Unknown runtime specified kata');
  expect(explainSandboxRefusal(other)).toBe(other);
  expect(explainCreateFailure(other, { config: decoded('ContainerConfig', {}) } as never)).toBe(other);
});
