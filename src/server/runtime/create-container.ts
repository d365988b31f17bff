import { createOnce, type Creation, createInEngine, settleExisting } from '../../containers/creation';
import { removeFromEngine } from '../../containers/engine-ops';
import { requireKernelValues } from '../../containers/limits';
import { hasStatus } from '../../docker/errors';
import type { EngineContainerCreate } from '../../engine/types';
import {
  failedPrecondition,
  hasCode,
  invalidArgument,
  messageOf,
  notFound,
  RuntimeError,
} from '../../lib/errors';
import type { Logger } from '../../lib/logger';
import type { DiskLooks } from '../../node/disk/disk-looks';
import { makeDirectory, NoDirectory } from '../../node/disk/make-directory';
import type { cri, Decoded } from '../../proto';
import { NamespaceMode } from '../../proto/enums';
import type { ContainerRecord, ImageRecord, MountRecord, SandboxRecord } from '../../store/records';
import { isReady, isRunning } from '../../store/states';
import type { Store } from '../../store/store';
import { checkContainer, type CheckedContainer } from '../../translate/container/container-check';
import { toContainerCreate } from '../../translate/container/container-create';
import { createdContainer } from '../../translate/container/container-record';
import { featuresFor, runtimeOf } from '../../translate/shared/engine-facts';
import { containerEngineName, type ContainerIdentity } from '../../translate/shared/names';
import { needsHostDevices } from '../../translate/container/container-security';
import { asImageId, familiarName, parseReference } from '../../translate/image/reference';
import { findContainer, findImage, getSandbox } from '../../translate/shared/lookup';
import { apparmorProfile } from '../../translate/shared/security-options';
import { explainCreateFailure } from '../container/create-failure';
import { listHostDevices, loadSeccompOptions, requireLoadedProfile } from '../container/node-security';
import { grantable, hasSecurityOption } from '../engine-abilities';
import type { CallContext, Services } from '../services';

/**
 * Creates a container with one Engine call. Further calls are made for an image that the store does not know, for the first
 * look into an image (ADR 0040), for sub-paths of image mounts, and after a refusal. The record is made from the request. If a
 * lost call has created a container of the same name, attempt and contents in this sandbox, that container is returned instead
 * of a second one.
 */
export async function createContainer(
  services: Services,
  request: Decoded<cri.ICreateContainerRequest>,
  { signal }: CallContext,
): Promise<cri.ICreateContainerResponse> {
  const sandbox = getSandbox(services.store, request.pod_sandbox_id);
  const asked = checkContainer(request.config, sandbox, request.sandbox_config);
  const checked = withTarget(services, asked, sandbox);
  if (!isReady(sandbox))
    throw failedPrecondition(`pod sandbox ${sandbox.id} is not ready; containers need a running one`);
  const name = containerEngineName(checked.metadata, sandbox.metadata);
  const containerId = await services.reservations.hold(name, signal, async () => {
    // The search does not use the name, because after a name conflict the container has a longer name.
    const known = services.store.containers
      .ofSandbox(sandbox.id)
      .find((held) => isSameContainer(held, checked.metadata));
    const held = known && (await settleExisting(services, known, checked, signal));
    return held ?? createOnce(services, name, creationIn(services, checked, sandbox, signal), signal);
  });
  return { container_id: containerId };
}

function creationIn(
  services: Services,
  checked: CheckedContainer,
  sandbox: SandboxRecord,
  signal: AbortSignal,
): Creation {
  return {
    create: (engineName) => create(services, checked, sandbox, engineName, signal),
    // A container of another sandbox counts as a stranger, because its logs and status must not be destroyed.
    judge: async (holder) => {
      if (holder?.kind !== 'container' || holder.sandboxId !== sandbox.id) return 'stranger';
      const id = await settleExisting(services, holder, checked, signal);
      return id === undefined ? 'removed' : { id };
    },
    owner: sandbox.id,
  };
}

function isSameContainer({ metadata }: ContainerRecord, wanted: ContainerIdentity): boolean {
  return metadata.name === wanted.name && metadata.attempt === wanted.attempt;
}

/** Resolves the target of pid=TARGET, which must run in the same pod. */
function withTarget(services: Services, checked: CheckedContainer, sandbox: SandboxRecord): CheckedContainer {
  if (checked.namespaces.pid !== NamespaceMode.TARGET) return checked;
  const field = 'config.linux.security_context.namespace_options.target_id';
  const { targetId } = checked.namespaces;
  const target = findContainer(services.store, targetId, field);
  if (target === undefined) throw notFound(`${field}: container "${targetId}" does not exist`);
  if (target.sandboxId !== sandbox.id || !isRunning(target)) {
    throw failedPrecondition(`${field}: container ${target.id} is not running in this pod`);
  }
  return { ...checked, namespaces: { ...checked.namespaces, targetId: target.id } };
}

async function create(
  services: Services,
  checked: CheckedContainer,
  sandbox: SandboxRecord,
  name: string,
  signal: AbortSignal,
): Promise<string> {
  const { store, settings } = services;
  const runtime = runtimeOf(sandbox);
  const features = featuresFor(store.engine, runtime);
  const context = checked.config.linux?.security_context ?? null;
  const capabilities = grantable(store, settings.capabilities);
  // If the Engine cannot mount images, toContainerCreate refuses the request, whether or not the Engine has the images.
  const mounts = features.imageMounts
    ? withMountImages(store, checked.mounts, 'config.mounts')
    : checked.mounts;
  await requireKernelValues(checked.kernel, settings.localEngine, 'config.linux.resources');
  const seccomp = await loadSeccompOptions(checked.seccomp, services.hostDisks);
  if (context !== null && settings.localEngine && hasSecurityOption(store, 'apparmor')) {
    const field = 'config.linux.security_context.apparmor';
    const profile = apparmorProfile(context.apparmor, context.apparmor_profile, field);
    await requireLoadedProfile(profile, field);
  }
  const hostDevices = needsHostDevices(context, capabilities) ? await listHostDevices() : [];
  const image = await imageToRun(services, checked.config.image?.image ?? '', 'config.image.image', signal);
  const nowMs = Date.now();
  try {
    const surroundings = {
      features,
      image: image.id,
      imageIdentity: { user: image.user, accounts: await services.imageAccounts.of(image.id, signal) },
      cgroupDriver: store.engine?.cgroupDriver ?? '',
      cgroupVersion: store.engine?.cgroupVersion ?? '',
      oomFloor: settings.oomFloor,
      apparmor: hasSecurityOption(store, 'apparmor'),
      capabilities,
      hostDevices,
      selinux: hasSecurityOption(store, 'selinux'),
      spool: settings.spool,
      runtime,
      nowMs,
    };
    const body = toContainerCreate({ ...checked, mounts }, sandbox, surroundings, seccomp);
    const id = await createWithSources(services, checked, () => createInEngine(services, name, body, signal));
    await requireSubPaths(services, id, body, mounts, 'config.mounts', signal);
    const record = createdContainer(id, name, body, image, nowMs);
    // The call's signal is not passed on, because a container that exists must have a record. If another client has
    // already started the container, an inspect has made a better record.
    await services.life.withContainer(id, undefined, (held) => {
      if (held.container === undefined) held.put(record);
      return Promise.resolve();
    });
    await requireLivingPod(services, sandbox.id, id);
    return id;
  } catch (error) {
    throw explainCreateFailure(error, { ...checked, mounts });
  }
}

/**
 * Creates missing mount sources only after the Engine has refused the request. A check before each create would cost a
 * system call for each mount, and only the Engine's own check decides.
 */
async function createWithSources(
  services: Services,
  { mounts }: CheckedContainer,
  send: () => Promise<string>,
): Promise<string> {
  try {
    return await send();
  } catch (error) {
    const isOurs = services.settings.localEngine && mounts.some(({ hostPath }) => hostPath !== '');
    if (!hasStatus(error, 400) || !isOurs) throw error;
    await makeMissingSources(mounts, 'config.mounts', services);
    // The call is repeated even if no source was missing, because another container's call may have created the sources since
    // the Engine's check.
    return send();
  }
}

/**
 * Removes the new container if its pod was stopped or removed while the Engine created it, because no other call would
 * ever remove it.
 */
async function requireLivingPod(services: Services, sandboxId: string, id: string): Promise<void> {
  const sandbox = services.store.sandboxes.get(sandboxId);
  if (sandbox !== undefined && !sandbox.stopping) return;
  await removeFromEngine(services, id);
  throw failedPrecondition(`pod sandbox ${sandboxId} was stopped while its container was created`);
}

/**
 * Finds the image that a request names. If the store does not contain it, the Engine is asked.
 * @throws NOT_FOUND when the image is not on the node.
 */
export async function imageToRun(
  { store, imageSync }: Pick<Services, 'store' | 'imageSync'>,
  wanted: string,
  field: string,
  signal: AbortSignal,
): Promise<ImageRecord> {
  const known = findImage(store, wanted, field);
  if (known !== undefined) return known;
  const name = asImageId(wanted) ?? familiarName(parseReference(wanted, field));
  const image = await imageSync.refresh(name, signal);
  if (image === undefined) throw notFound(`${field}: image "${wanted}" is not on this node; pull it first`);
  return image;
}

/**
 * Adds the image ids to image mounts, whose images kubelet has pulled before.
 * @throws NOT_FOUND with the prefix that kubelet expects.
 */
function withMountImages(store: Store, mounts: readonly MountRecord[], field: string): MountRecord[] {
  return mounts.map((mount, index) => {
    if (mount.image === undefined) return mount;
    const at = `${field}[${index}].image.image`;
    const found = findImage(store, mount.image.image, at);
    if (found === undefined) {
      throw notFound(
        `ImageVolumeMountFailed: ${at}: image "${mount.image.image}" is not on this node; pull it first`,
      );
    }
    return { ...mount, image: { ...mount.image, id: found.id } };
  });
}

/** Any path works, because the Engine mounts all of the container's mounts to read a file. */
const ANY_PATH = '/etc/passwd';

type Parts = Pick<Services, 'docker' | 'probes'>;

/**
 * Refuses a wrong sub-path of an image mount, as kubelet expects of CreateContainer. The Engine checks the sub-path only
 * when it mounts the image, normally at the start, so this makes the Engine mount it now. A container that fails is
 * removed.
 * @param body the create request of the container.
 */
export async function requireSubPaths(
  parts: Parts,
  id: string,
  body: EngineContainerCreate,
  mounts: readonly MountRecord[],
  field: string,
  signal: AbortSignal,
): Promise<void> {
  const asked = mounts.flatMap(({ image }, index) =>
    image === undefined || image.subPath === '' ? [] : [{ image, at: `${field}[${index}].image_sub_path` }],
  );
  if (asked.length === 0) return;
  try {
    await parts.docker.readFile(id, ANY_PATH, { signal });
  } catch (error) {
    // The call's signal is not used, because no other call would remove this container.
    await parts.docker.removeContainer(id);
    if (!hasStatus(error, 500) || !(await mountsWithoutSubPaths(parts, body))) throw error;
    const [what, where] = [asked.map(({ image }) => `"${image.subPath}"`), asked.map(({ at }) => at)];
    const { code, message } = invalidArgument(
      where.join(' or '),
      `${what.join(' or ')} is not in the image (${messageOf(error)})`,
    );
    throw new RuntimeError(code, `ImageVolumeMountFailed: ${message}`, { cause: error });
  }
}

/**
 * Whether the mounts work without sub-paths. The Engine answers 500 for every failure to mount, so this shows whether a
 * sub-path is the cause.
 */
async function mountsWithoutSubPaths(
  { docker, probes }: Parts,
  { Image, HostConfig: { Mounts, Binds = null } }: EngineContainerCreate,
): Promise<boolean> {
  const whole = (Mounts ?? []).map(({ ImageOptions, ...mount }) => mount);
  try {
    await probes.with({ Image, HostConfig: { Mounts: whole, Binds } }, (id) => docker.readFile(id, ANY_PATH));
    return true;
  } catch {
    return false;
  }
}

interface MountSourceParts {
  readonly logger: Logger;
  readonly hostDisks: DiskLooks;
  /** Replaced in tests. */
  readonly make?: typeof makeDirectory;
}

/**
 * Creates the missing source directories of mounts, as dockershim, cri-dockerd, containerd and CRI-O do, because a
 * hostPath without a type often exists only after its pod has run (ADR 0013). The sources are checked in order, up to the
 * first disk that hangs.
 * @throws FAILED_PRECONDITION with the field of the first source that cannot be created.
 */
export async function makeMissingSources(
  mounts: readonly MountRecord[],
  field: string,
  { logger, hostDisks, make = makeDirectory }: MountSourceParts,
): Promise<void> {
  const made: string[] = [];
  let at = 0;
  try {
    for (const [index, { hostPath }] of mounts.entries()) {
      at = index;
      if (hostPath === '') continue;
      const work = (): Promise<boolean> => make(hostPath);
      if (await hostDisks.run('Making a directory', hostPath, work)) made.push(hostPath);
    }
  } catch (error) {
    // The create call is repeated next, and the Engine then reports the hanging disk.
    if (hasCode(error, 'DEADLINE_EXCEEDED')) return;
    if (!(error instanceof NoDirectory)) throw error;
    throw failedPrecondition(
      `${field}[${at}].host_path: ${JSON.stringify(mounts[at]?.hostPath)} does not exist on this node and ${error.message}`,
    );
  } finally {
    if (made.length > 0) logger.info('Created missing directories that a container mounts', { paths: made });
  }
}
