import { compare } from '../../../src/harness/compare/compare';
import { rulesFor } from '../../../src/harness/compare/rules';
import type { Observation, ObservedCall } from '../../../src/harness/observation';
import type { JsonObject } from '../../../src/proto/fields';

type Runtime = Observation['runtime'];
const CONTAINERD = { name: 'containerd', version: '2.1.4' };
const DOCKER = { name: 'docker', version: '28.5.2' };
const X = { name: 'x', version: '1' };

interface Side {
  readonly runtime: Runtime;
  readonly response?: JsonObject;
  readonly status?: string;
}

/**
 * Returns the paths of one call's differences: those that the shipped rules do not allow, and those that they allow.
 * Checks that the result is the same whichever side is A.
 */
function judged(
  method: string,
  request: JsonObject,
  one: Side,
  other: Side,
): { differs: string[]; allowed: string[] } {
  const seen = ({ runtime, response = {}, status = 'OK' }: Side): Observation => {
    const call: ObservedCall = {
      n: 2,
      t: 2,
      ms: 1,
      method,
      request,
      status,
      ...(status === 'OK' ? { response } : {}),
    };
    const pull = {
      method: 'PullImage',
      request: { image: { image: 'app:1' } },
      response: { image_ref: 'i' },
    };
    return { source: 'x', runtime, calls: [{ n: 1, t: 1, ms: 1, status: 'OK', ...pull }, call] };
  };
  const [forth, back] = [
    [one, other],
    [other, one],
  ].map((sides) => {
    const [a, b] = sides.map(seen) as [Observation, Observation];
    const { calls } = compare(a, b, rulesFor(a.runtime, b.runtime));
    return {
      differs: calls.flatMap(({ differences }) => differences.map(({ path }) => path)),
      allowed: calls.flatMap(({ allowed }) => allowed.map(({ path }) => path)),
    };
  });
  expect(forth).toEqual(back);
  return forth!;
}

const ended = (runtime: Runtime, reason: string): Side => ({
  runtime,
  response: { status: { id: 'c', metadata: { name: 'c' }, state: 'CONTAINER_EXITED', reason } },
});
const images = (runtime: Runtime, ...tags: string[]): Side => ({
  runtime,
  response: { images: tags.map((tag) => ({ id: tag === 'app:1' ? 'i' : tag, repo_tags: [tag], size: '1' })) },
});
const digests = (runtime: Runtime, ...repo_digests: string[]): Side => ({
  runtime,
  response: { images: [{ id: 'i', repo_tags: ['app:1'], repo_digests, size: '1' }] },
});
const failed = (runtime: Runtime, status: string): Side => ({ runtime, status });

describe('containerd', () => {
  const status = (one: Side, other: Side): unknown =>
    judged('ContainerStatus', { container_id: 'c' }, one, other);
  const reason = ['ContainerStatus.status.reason'];

  it('may report Error for an OOM kill, and no other runtime may', () => {
    expect(status(ended(DOCKER, 'OOMKilled'), ended(CONTAINERD, 'Error'))).toEqual({
      differs: [],
      allowed: reason,
    });
    expect(status(ended(DOCKER, 'Error'), ended(CONTAINERD, 'OOMKilled'))).toEqual({
      differs: reason,
      allowed: [],
    });
    expect(status(ended(DOCKER, 'Completed'), ended(CONTAINERD, 'Error'))).toEqual({
      differs: reason,
      allowed: [],
    });
  });

  it('may list more images than the filter asks for, and must not miss any', () => {
    const list = (filter: JsonObject, one: Side, other: Side): unknown =>
      judged('ListImages', filter, one, other);
    const item = ['ListImages.images[app:1].@item'];
    const filter = { filter: { image: { image: 'other:1' } } };
    const [more, less] = [images(CONTAINERD, 'app:1'), images(CONTAINERD)];
    expect(list(filter, images(X), more)).toEqual({ differs: [], allowed: item });
    expect(list(filter, images(X, 'app:1'), less)).toEqual({ differs: item, allowed: [] });
    expect(list({}, images(X), more)).toEqual({ differs: item, allowed: [] });
  });

  it.each([
    ['image_ref', (ref: string): JsonObject => ({ image_ref: ref }), 'image_ref'],
    ['image', (ref: string): JsonObject => ({ image: { image: ref } }), 'image.image'],
  ])(
    'may list another %s than it reports in ContainerStatus, if each image has its own',
    (_, field, path) => {
      /** Two containers whose images are `app` and `db`. */
      const side = (runtime: Runtime, app: string, db: string): Observation => ({
        ...{ source: 'x', runtime },
        calls: [
          {
            ...{ n: 1, t: 1, ms: 1, method: 'ContainerStatus', request: { container_id: 'a' }, status: 'OK' },
            response: { status: { id: 'a', metadata: { name: 'a' }, ...field('app@sha256:1') } },
          },
          {
            ...{ n: 2, t: 2, ms: 1, method: 'ListContainers', request: {}, status: 'OK' },
            response: {
              containers: [
                { id: 'a', metadata: { name: 'a' }, ...field(app) },
                { id: 'b', metadata: { name: 'b' }, ...field(db) },
              ],
            },
          },
        ],
      });
      const differs = (runtime: Runtime, ...refs: [app: string, db: string]): string[] => {
        const [a, b] = [side(DOCKER, 'app@sha256:1', 'db@sha256:2'), side(runtime, ...refs)];
        const { calls } = compare(a, b, rulesFor(a.runtime, b.runtime));
        return calls.flatMap(({ differences }) => differences.map(({ path }) => path));
      };
      expect(differs(CONTAINERD, 'sha256:app', 'sha256:db')).toEqual([]);
      expect(differs(CONTAINERD, 'sha256:app', 'sha256:app')).toEqual([
        `ListContainers.containers[b].${path}`,
      ]);
      expect(differs(X, 'sha256:app', 'sha256:db')).toEqual([`ListContainers.containers[a].${path}`]);
    },
  );

  it('may lack the user of a container before 2.0, and no other runtime may', () => {
    const user = { linux: { uid: '7', supplemental_groups: ['0'] } };
    const side = (runtime: Runtime, more: JsonObject = {}): Side => ({
      runtime,
      response: { status: { id: 'c', metadata: { name: 'c' }, ...more } },
    });
    const old = { ...CONTAINERD, version: '1.7.28' };
    const differs = ['uid', 'supplemental_groups'].map(
      (field) => `ContainerStatus.status.user.linux.${field}`,
    );
    expect(status(side(DOCKER, { user }), side(old))).toEqual({
      differs: [],
      allowed: ['ContainerStatus.status.user'],
    });
    expect(status(side(DOCKER, { user }), side(CONTAINERD))).toEqual({ differs, allowed: [] });
    expect(status(side(DOCKER), side(old, { user }))).toEqual({ differs, allowed: [] });
    expect(status(side(DOCKER, { user }), side(old, { user: { linux: { uid: '8' } } }))).toEqual({
      differs,
      allowed: [],
    });
  });

  it('may list an image without the name from the request before 2.0', () => {
    const list = (runtime: Runtime, user_specified_image: string): Side => {
      const image = { image: 'i', user_specified_image };
      return { runtime, response: { containers: [{ id: 'c', metadata: { name: 'c' }, image }] } };
    };
    const old = { ...CONTAINERD, version: '1.6.20' };
    const path = ['ListContainers.containers[c].image.user_specified_image'];
    const judge = (one: Side, other: Side): unknown => judged('ListContainers', {}, one, other);
    expect(judge(list(DOCKER, 'app:1'), list(old, ''))).toEqual({ differs: [], allowed: path });
    expect(judge(list(DOCKER, 'app:1'), list(old, 'app:2'))).toEqual({ differs: path, allowed: [] });
    expect(judge(list(DOCKER, 'app:1'), list(CONTAINERD, ''))).toEqual({ differs: path, allowed: [] });
  });

  it.each([
    ['UpdatePodSandboxResources', 'UNIMPLEMENTED', 'INTERNAL'],
    ['ContainerStats', 'UNKNOWN', 'INTERNAL'],
    ['ListPodSandboxStats', 'UNKNOWN', 'INTERNAL'],
    ['StreamContainers', 'UNIMPLEMENTED', 'UNKNOWN'],
  ])('may answer %s with %s, and with no other code', (method, code, other) => {
    const call = (one: Side, another: Side): unknown => judged(method, {}, one, another);
    const path = [`${method}.@status`];
    expect(call({ runtime: X }, failed(CONTAINERD, code))).toEqual({ differs: [], allowed: path });
    expect(call({ runtime: X }, failed(CONTAINERD, other))).toEqual({ differs: path, allowed: [] });
    expect(call(failed(X, code), { runtime: CONTAINERD })).toEqual({ differs: path, allowed: [] });
  });
});

describe('Docker Engine', () => {
  const list = (one: Side, other: Side): unknown => judged('ListImages', {}, one, other);
  const path = ['ListImages.images[app:1].repo_digests'];

  it('may lack digests before version 29', () => {
    const other = digests(X, 'app@sha256:1');
    expect(list(digests(DOCKER), other)).toEqual({ differs: [], allowed: path });
    expect(list(digests({ ...DOCKER, version: '29.0.1' }), other)).toEqual({ differs: path, allowed: [] });
  });

  it('may name images of Docker Hub in short form', () => {
    const named = (runtime: Runtime, ...repo_tags: string[]): Side => ({
      runtime,
      response: { images: [{ id: 'i', repo_tags, size: '1' }] },
    });
    const tags = (at: string): string[] => [`ListImages.images[${at}].repo_tags`];
    const hub = ['docker.io/library/app:1', 'docker.io/me/app:1', 'quay.io/app:1'];
    const short = named(DOCKER, 'app:1', 'quay.io/app:1', 'me/app:1');
    expect(list(named(X, ...hub), short)).toEqual({ differs: [], allowed: tags('app:1') });
    expect(list(named(X, ...hub.slice(0, 2)), short)).toEqual({ differs: tags('app:1'), allowed: [] });
    expect(list(named(X, ...hub), named(DOCKER, 'app:1', 'other/app:1', 'quay.io/app:1'))).toEqual({
      differs: tags('app:1'),
      allowed: [],
    });
    // Only Docker Engine shortens names.
    expect(list(named(X, ...hub), named(CONTAINERD, 'app:1', 'me/app:1', 'quay.io/app:1'))).toEqual({
      differs: tags('app:1'),
      allowed: [],
    });
    const new29 = { ...DOCKER, version: '29.0.1' };
    const full = digests(X, 'docker.io/library/app@sha256:1');
    expect(list(digests(new29, 'app@sha256:1'), full)).toEqual({ differs: [], allowed: path });
  });

  it('must end a container by the same signal as another runtime', () => {
    const status = (one: Side, other: Side): unknown =>
      judged('ContainerStatus', { container_id: 'c' }, one, other);
    const exited = (runtime: Runtime, exit_code: number): Side => ({
      runtime,
      response: { status: { id: 'c', metadata: { name: 'c' }, state: 'CONTAINER_EXITED', exit_code } },
    });
    const path = ['ContainerStatus.status.exit_code'];
    expect(status(exited(DOCKER, 143), exited(X, 137))).toEqual({ differs: path, allowed: [] });
    expect(status(exited(DOCKER, 137), exited(X, 143))).toEqual({ differs: path, allowed: [] });
    expect(status(exited(DOCKER, 137), exited(X, 137))).toEqual({ differs: [], allowed: [] });
  });

  it('may have no checkpoints', () => {
    const call = (code: string): unknown =>
      judged('CheckpointContainer', {}, { runtime: X }, failed(DOCKER, code));
    expect(call('UNIMPLEMENTED')).toEqual({ differs: [], allowed: ['CheckpointContainer.@status'] });
    expect(call('INTERNAL')).toEqual({ differs: ['CheckpointContainer.@status'], allowed: [] });
  });
});

it('CRI-O may have no UpdatePodSandboxResources before 1.33', () => {
  const call = (version: string, code: string): unknown =>
    judged('UpdatePodSandboxResources', {}, { runtime: X }, failed({ name: 'cri-o', version }, code));
  const path = ['UpdatePodSandboxResources.@status'];
  expect(call('1.32', 'UNIMPLEMENTED')).toEqual({ differs: [], allowed: path });
  expect(call('1.33', 'UNIMPLEMENTED')).toEqual({ differs: path, allowed: [] });
  expect(call('1.32', 'INTERNAL')).toEqual({ differs: path, allowed: [] });
});
