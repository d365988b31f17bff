import { alreadyExists, failedPrecondition, internal, messageOf } from '../../lib/errors';
import type { cri, Decoded } from '../../proto';
import { NamespaceMode } from '../../proto/enums';
import type { ContainerRecord, SandboxMetadata, SandboxRecord } from '../../store/records';
import { keepResolvConf } from '../../network/resolv-conf-file';
import { toCheckpoint } from '../../translate/sandbox/cri-dockerd-checkpoint';
import { sandboxEngineName } from '../../translate/shared/names';
import { differences } from '../../translate/shared/contents';
import { toPodToAttach } from '../../translate/sandbox/pod-to-attach';
import { checkSandbox, toSandboxCreate, type CheckedSandbox } from '../../translate/sandbox/sandbox-create';
import { isReady } from '../../store/states';
import { explainSandboxRefusal } from '../container/create-failure';
import { removeSandboxFromEngine, startInEngine } from '../../containers/engine-ops';
import { createInEngine, createOnce, type Creation } from '../../containers/creation';
import { loadSeccompOptions } from '../container/node-security';
import { hasSecurityOption, knownRuntimes, lookForHandler } from '../engine-abilities';
import type { CallContext, Services } from '../services';

/**
 * Creates, starts, inspects and connects a sandbox, with three Engine calls. If a lost call left a sandbox with the same
 * identity and contents, that sandbox is returned when it is ready, and replaced when it is not. After a failure, the new
 * sandbox is removed.
 */
export async function runPodSandbox(
  services: Services,
  request: Decoded<cri.IRunPodSandboxRequest>,
  { signal }: CallContext,
): Promise<cri.IRunPodSandboxResponse> {
  const checked = checkSandbox(request.config, request.runtime_handler);
  const net = services.network.condition();
  if (checked.namespaces.network !== NamespaceMode.NODE && !net.ready) throw failedPrecondition(net.message);
  const name = sandboxEngineName(checked.metadata);
  const sandboxId = await services.reservations.hold(name, signal, async () => {
    // Engine names are not compared, because after a name conflict the sandbox has a longer name.
    const known = [...services.store.sandboxes.values()].find((held) => isSamePod(held, checked.metadata));
    if (known !== undefined) {
      const adopted = await adopt(services, known, checked);
      if (adopted !== undefined) return adopted;
    }
    return createOnce(services, name, creationOf(services, checked, signal), signal);
  });
  return { pod_sandbox_id: sandboxId };
}

/**
 * Decides what to do with a sandbox that already has the identity of the request.
 * @returns the sandbox's id when it is ready for use; undefined when it was a useless leftover, which has now been
 * removed.
 * @throws ALREADY_EXISTS when the sandbox has containers, or is ready but differs from the request.
 */
async function adopt(
  services: Services,
  holder: SandboxRecord,
  { metadata: wanted, contents }: CheckedSandbox,
): Promise<string | undefined> {
  if (isReady(holder)) {
    // A sandbox of cri-dockerd or of an older dockbridge does not record its contents. Its identity alone shows that it
    // belongs to this pod.
    const others = differences(holder.contents ?? contents, contents);
    if (others.length === 0) return holder.id;
    throw alreadyExists(
      `sandbox ${holder.id} of attempt ${wanted.attempt} of pod ${wanted.namespace}/${wanted.name} already exists and differs in ${others.join(', ')}; remove it or use another attempt`,
    );
  }
  if (services.store.containers.ofSandbox(holder.id).length > 0) {
    throw alreadyExists(
      `sandbox ${holder.id} of attempt ${wanted.attempt} of pod ${wanted.namespace}/${wanted.name} already exists; it is stopped and still has containers; remove it or use another attempt`,
    );
  }
  await services.network.detach(holder.id, holder.pid);
  await removeSandboxFromEngine(services, holder.id);
  return undefined;
}

function creationOf(services: Services, checked: CheckedSandbox, signal: AbortSignal): Creation {
  return {
    create: (engineName) => create(services, checked, engineName, signal),
    // The store did not know the container that has the name. It comes from a lost call of this daemon, from cri-dockerd,
    // or from a stranger.
    judge: async (holder) => {
      if (!isSamePod(holder, checked.metadata)) return 'stranger';
      const adopted = await adopt(services, holder, checked);
      return adopted === undefined ? 'removed' : { id: adopted };
    },
    owner: checked.metadata.uid,
  };
}

function isSamePod(
  holder: SandboxRecord | ContainerRecord | undefined,
  wanted: SandboxMetadata,
): holder is SandboxRecord {
  if (holder?.kind !== 'sandbox') return false;
  const { name, namespace, uid, attempt } = holder.metadata;
  return (
    name === wanted.name && namespace === wanted.namespace && uid === wanted.uid && attempt === wanted.attempt
  );
}

async function create(
  services: Services,
  checked: CheckedSandbox,
  name: string,
  signal: AbortSignal,
): Promise<string> {
  const { docker, store, network, checkpoints, settings, sandboxImage, life } = services;
  const seccomp = await loadSeccompOptions(checked.seccomp, services.hostDisks);
  await lookForHandler(services, checked.runtimeHandler, signal);
  const body = toSandboxCreate(
    checked,
    {
      image: await sandboxImage.ensure(signal),
      networkMode: network.networkMode,
      cgroupDriver: store.engine?.cgroupDriver ?? '',
      cgroupVersion: store.engine?.cgroupVersion ?? '',
      ipv6: settings.ipv6,
      oomFloor: settings.oomFloor,
      apparmor: hasSecurityOption(store, 'apparmor'),
      ...knownRuntimes(store),
    },
    seccomp,
  );
  const id = await createInEngine(services, name, body, signal).catch((error: unknown) => {
    throw explainSandboxRefusal(error);
  });
  // If this process ends before the sandbox is ready, the next daemon must know that the sandbox is unfinished.
  life.unfinished.begin(id);
  try {
    await checkpoints.write(id, toCheckpoint(checked));
    await startInEngine(docker, id, signal);
    await life.withContainer(id, undefined, async (held) => {
      const inspect = await held.inspect(signal);
      if (services.settings.localEngine) await keepResolvConf(inspect);
      if (checked.namespaces.network !== NamespaceMode.NODE)
        await network.attach(inspect, toPodToAttach(checked), signal);
      await held.settle(inspect, 'started');
    });
    const sandbox = store.sandboxes.get(id);
    if (sandbox === undefined || !isReady(sandbox)) {
      throw internal(
        `the pause process of ${name} ended as soon as it was started; is ${body.Image} a pause image?`,
      );
    }
    await life.unfinished.finish(id);
    return id;
  } catch (error) {
    await discard(services, id);
    throw error;
  }
}

/** Removes a failed sandbox. This does not use the call's signal, because a cancelled call must also clean up. */
async function discard(services: Services, id: string): Promise<void> {
  try {
    await removeSandboxFromEngine(services, id);
  } catch (error) {
    // kubelet's garbage collection will remove the sandbox, because its record says NOTREADY even if the Engine later
    // reports the sandbox as running.
    services.life.markNeverReady(id);
    services.logger.warn('Cannot remove a failed sandbox', { sandbox: id, error: messageOf(error) });
    await services.life.refresh(id).catch(() => undefined);
  }
}
