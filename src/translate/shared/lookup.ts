import { failedPrecondition, invalidArgument, notFound } from '../../lib/errors';
import type { ContainerRecord, ImageRecord, SandboxRecord } from '../../store/records';
import { isRunning } from '../../store/states';
import type { Store } from '../../store/store';
import { asImageId, familiarName, looksLikeIdPrefix, tryParseReference } from '../image/reference';
import { nonEmpty } from './validate';

/**
 * Finds a sandbox by full id or unique prefix. Returns undefined if it is unknown, in which case Stop and Remove succeed.
 */
export function findSandbox(store: Store, id: string): SandboxRecord | undefined {
  return store.sandboxes.resolve(nonEmpty(id, 'pod_sandbox_id'), 'pod_sandbox_id');
}

/**
 * Finds a sandbox that must exist.
 * @throws NOT_FOUND
 */
export function getSandbox(store: Store, id: string): SandboxRecord {
  const sandbox = findSandbox(store, id);
  if (sandbox === undefined) throw notFound(`pod sandbox "${id}" does not exist`);
  return sandbox;
}

/** Finds a container by full id or unique prefix. Returns undefined if it is unknown. */
export function findContainer(store: Store, id: string, field = 'container_id'): ContainerRecord | undefined {
  return store.containers.resolve(nonEmpty(id, field), field);
}

/**
 * Finds a container that must exist.
 * @throws NOT_FOUND
 */
export function getContainer(store: Store, id: string): ContainerRecord {
  const container = findContainer(store, id);
  if (container === undefined) throw notFound(`container "${id}" does not exist`);
  return container;
}

/**
 * Finds a container that must be running.
 * @throws NOT_FOUND, and FAILED_PRECONDITION when the container is not running.
 */
export function getRunningContainer(store: Store, id: string): ContainerRecord {
  const container = getContainer(store, id);
  if (!isRunning(container)) {
    throw failedPrecondition(`container ${container.id} is not running (${container.state})`);
  }
  return container;
}

/** Prefixes of image ids and digests in container statuses of cri-dockerd and dockershim, which clients may send back. */
const CRI_DOCKERD_SCHEME = /^docker(?:-pullable)?:\/\//;

/**
 * Finds an image by id, unique id prefix, tag or digest, also in the form of cri-dockerd's container statuses.
 * @throws INVALID_ARGUMENT for any other text, and for an ambiguous prefix.
 */
export function findImage(store: Store, asked: string, field: string): ImageRecord | undefined {
  const name = nonEmpty(asked, field).replace(CRI_DOCKERD_SCHEME, '');
  const id = asImageId(name);
  if (id !== undefined) return store.images.get(id);
  const reference = tryParseReference(name);
  const named = reference && store.images.byName(familiarName(reference));
  if (named !== undefined) return named;
  if (looksLikeIdPrefix(name)) {
    const found = store.images.byIdPrefix(name);
    if (found.length > 1)
      throw invalidArgument(field, `id prefix "${name}" is ambiguous; give more characters`);
    return found[0];
  }
  if (reference === undefined)
    throw invalidArgument(field, `${JSON.stringify(name.slice(0, 100))} is not an image reference`);
  return undefined;
}
