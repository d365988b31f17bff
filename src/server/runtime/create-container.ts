import { hasStatus } from '../../docker/errors';
import { failedPrecondition, notFound } from '../../lib/errors';
import type { cri, Decoded } from '../../proto';
import { NamespaceMode } from '../../proto/enums';
import type { ContainerRecord, SandboxRecord } from '../../store/records';
import { apparmorProfile } from '../../translate/shared/security-options';
import { checkContainer, type CheckedContainer } from '../../translate/container/container-check';
import { toContainerCreate } from '../../translate/container/container-create';
import { createdContainer } from '../../translate/container/container-record';
import { featuresFor, runtimeOf } from '../../translate/shared/engine-facts';
import { containerEngineName, type ContainerIdentity } from '../../translate/shared/names';
import { isReady } from '../../store/states';
import { needsHostDevices } from '../../translate/container/container-security';
import { listHostDevices, loadSeccompOptions, requireLoadedProfile } from '../container/node-security';
import { explainCreateFailure } from '../container/create-failure';
import { removeFromEngine } from '../../containers/engine-ops';
import { createInEngine, createOnce, type Creation, settleExisting } from '../../containers/creation';
import { imageToRun, requireSubPaths, withMountImages } from '../container/container-images';
import { requireKernelValues } from '../../containers/limits';
import { makeMissingSources } from '../container/mount-sources';
import { grantable, hasSecurityOption } from '../engine-abilities';
import { findContainer, getSandbox } from '../../translate/shared/lookup';
import type { CallContext, Services } from '../services';

/**
 * One Engine call, but for the first look into an image (ADR 0040) and for sub-paths of image mounts: the record is made
 * from what we asked for. A container of the same name, attempt and contents that a lost call created in this sandbox is
 * returned instead of a second one.
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
    // Not by name: after a name conflict ours has a suffix.
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
    // Another sandbox's logs and status are not ours to destroy.
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

/** pid=TARGET: the target must run, in the same pod. */
function withTarget(services: Services, checked: CheckedContainer, sandbox: SandboxRecord): CheckedContainer {
  if (checked.namespaces.pid !== NamespaceMode.TARGET) return checked;
  const field = 'config.linux.security_context.namespace_options.target_id';
  const { targetId } = checked.namespaces;
  const target = findContainer(services.store, targetId, field);
  if (target === undefined) throw notFound(`${field}: container "${targetId}" does not exist`);
  if (target.sandboxId !== sandbox.id || target.state !== 'running') {
    throw failedPrecondition(`${field}: container ${target.id} does not run in this pod`);
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
  // An Engine that cannot mount images says so below, whether it has them or not.
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
    // Without the call's signal: what exists must have a record. If somebody has started it already, an inspect has told more.
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
 * Looks at the mounts' sources only once the Engine has refused the request: a look before each create would cost a
 * system call a mount, and the Engine's own look is the one that counts.
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
    // Also where none is missing: another container's call may have made it since the Engine looked.
    return send();
  }
}

/** The pod may have been stopped or removed while the Engine was creating: nobody would ever remove this container. */
async function requireLivingPod(services: Services, sandboxId: string, id: string): Promise<void> {
  const sandbox = services.store.sandboxes.get(sandboxId);
  if (sandbox !== undefined && !sandbox.stopping) return;
  await removeFromEngine(services, id);
  throw failedPrecondition(`pod sandbox ${sandboxId} was stopped while its container was created`);
}
