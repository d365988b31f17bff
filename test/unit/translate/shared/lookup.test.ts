import {
  findContainer,
  findImage,
  findSandbox,
  getContainer,
  getSandbox,
} from '../../../../src/translate/shared/lookup';
import { WritableStore } from '../../../../src/store/store';
import { codeAndField, thrownBy } from '../../support/errors';
import { containerRecord, engineId, imageRecord, sandboxRecord } from '../../support/records';

const store = new WritableStore();
store.sandboxes.put(sandboxRecord({ id: engineId('a1') }));
store.sandboxes.put(sandboxRecord({ id: engineId('a2') }));
store.containers.put(containerRecord({ id: engineId('c1') }));
store.containers.put(containerRecord({ id: engineId('c2') }));

describe('findSandbox and findContainer', () => {
  it.each([
    { desc: 'its id', id: engineId('a1'), found: engineId('a1') },
    { desc: 'a prefix', id: 'a2', found: engineId('a2') },
    { desc: "a container's id", id: engineId('c1'), found: undefined },
  ])('look up a sandbox by $desc and return $found', ({ id, found }) =>
    expect(findSandbox(store, id)?.id).toBe(found),
  );

  it.each([
    { desc: 'its id', id: engineId('c1'), found: engineId('c1') },
    { desc: 'a prefix', id: 'c2', found: engineId('c2') },
    { desc: "a sandbox's id", id: engineId('a1'), found: undefined },
  ])('look up a container by $desc and return $found', ({ id, found }) =>
    expect(findContainer(store, id)?.id).toBe(found),
  );

  it.each([
    { desc: 'no id', work: () => findSandbox(store, ''), error: 'INVALID_ARGUMENT pod_sandbox_id' },
    {
      desc: 'an ambiguous prefix',
      work: () => findSandbox(store, 'a'),
      error: 'INVALID_ARGUMENT pod_sandbox_id',
    },
    { desc: 'no container id', work: () => findContainer(store, ''), error: 'INVALID_ARGUMENT container_id' },
    {
      desc: 'an ambiguous prefix in another field',
      work: () => findContainer(store, 'c', 'target_id'),
      error: 'INVALID_ARGUMENT target_id',
    },
    { desc: 'NUL', work: () => findContainer(store, 'c1\0'), error: 'INVALID_ARGUMENT container_id' },
    {
      desc: 'an unknown sandbox',
      work: () => getSandbox(store, 'x'),
      error: 'NOT_FOUND pod sandbox "x" does not exist',
    },
    {
      desc: 'an unknown container',
      work: () => getContainer(store, 'x'),
      error: 'NOT_FOUND container "x" does not exist',
    },
  ])('refuse $desc', ({ work, error }) => expect(codeAndField(work)).toBe(error));
});

describe('findImage', () => {
  const digest = `sha256:${'d'.repeat(64)}`;
  const app = imageRecord({
    id: `sha256:${engineId('ab1')}`,
    repoTags: ['app:1', 'quay.io/app:2'],
    repoDigests: [`app@${digest}`],
  });
  const other = imageRecord({ id: `sha256:${engineId('ab2')}`, repoTags: ['cafe:latest'], repoDigests: [] });
  store.images.put(app);
  store.images.put(other);

  it.each([
    { desc: 'id', name: app.id, found: app.id },
    { desc: 'id without algorithm', name: engineId('ab1'), found: app.id },
    { desc: 'tag', name: 'app:1', found: app.id },
    { desc: 'the full name', name: 'docker.io/library/app:1', found: app.id },
    { desc: 'a tag in another registry', name: 'quay.io/app:2', found: app.id },
    { desc: 'digest', name: `docker.io/app@${digest}`, found: app.id },
    { desc: 'tag and digest', name: `app:9@${digest}`, found: app.id },
    { desc: "cri-dockerd's image name of a container", name: `docker://${app.id}`, found: app.id },
    {
      desc: "cri-dockerd's image digest of a container",
      name: `docker-pullable://app@${digest}`,
      found: app.id,
    },
    { desc: 'latest as the default tag', name: 'cafe', found: other.id },
    { desc: 'a prefix that is too short', name: 'sha256:ab1', found: undefined },
    { desc: 'a prefix that is long enough', name: 'ab10', found: app.id },
    { desc: 'a prefix with algorithm', name: 'sha256:ab10', found: app.id },
    { desc: 'an unknown tag', name: 'app:3', found: undefined },
    { desc: 'an unknown id', name: `sha256:${engineId('ff')}`, found: undefined },
  ])('by $desc returns $found', ({ name, found }) => {
    expect(findImage(store, name, 'f')?.id).toBe(found);
  });

  it('prefers a name to a prefix', () => {
    store.images.put(imageRecord({ id: `sha256:${engineId('cafe')}`, repoTags: [], repoDigests: [] }));
    expect(findImage(store, 'cafe', 'f')?.id).toBe(other.id);
  });

  it.each([
    { desc: 'nothing', name: '', error: /^INVALID_ARGUMENT f: is required/ },
    { desc: 'NUL', name: 'a\0', error: /^INVALID_ARGUMENT f: contains a NUL/ },
    { desc: 'only a scheme', name: 'docker://', error: /^INVALID_ARGUMENT f: "" is not an image reference/ },
    {
      desc: 'an invalid reference',
      name: 'A B',
      error: /^INVALID_ARGUMENT f: "A B" is not an image reference/,
    },
    {
      desc: 'an ambiguous prefix',
      name: 'abcd',
      error: /^INVALID_ARGUMENT f: id prefix "abcd" is ambiguous/,
    },
  ])('refuses $desc', ({ name, error }) => {
    for (const start of ['abcd1', 'abcd2'])
      store.images.put(imageRecord({ id: `sha256:${engineId(start)}`, repoTags: [], repoDigests: [] }));
    expect(thrownBy(() => findImage(store, name, 'f'))).toMatch(error);
  });
});
