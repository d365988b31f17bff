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
 * Creates, starts, inspects and connects the sandbox, with three Engine calls. A sandbox of the same identity and contents that
 * a lost call left behind is returned when it is ready; one that is not ready is replaced. On failure nothing stays behind.
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
    // This does not compare Engine names: after a name conflict, our sandbox has a suffix in its name.
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
 * What to do with the sandbox that has the name already.
 * @returns its id when it is ready for use; undefined when it was a useless leftover, now removed.
 * @throws ALREADY_EXISTS when it is in use, or ready and not what is asked for now.
 */
async function adopt(
  services: Services,
  holder: SandboxRecord,
  { metadata: wanted, contents }: CheckedSandbox,
): Promise<string | undefined> {
  if (isReady(holder)) {
    // A sandbox of cri-dockerd or of an older version did not record its contents. Its name says that it is the pod's.
    const others = differences(holder.contents ?? contents, contents);
    if (others.length === 0) return holder.id;
    throw alreadyExists(
      `sandbox ${holder.id} of attempt ${wanted.attempt} of pod ${wanted.namespace}/${wanted.name} exists, with another ${others.join(', ')}; remove it or use another attempt`,
    );
  }
  if (services.store.containers.ofSandbox(holder.id).length > 0) {
    throw alreadyExists(
      `sandbox ${holder.id} of attempt ${wanted.attempt} of pod ${wanted.namespace}/${wanted.name} exists, stopped and with containers; remove it or use another attempt`,
    );
  }
  await services.network.detach(holder.id, holder.pid);
  await removeSandboxFromEngine(services, holder.id);
  return undefined;
}

function creationOf(services: Services, checked: CheckedSandbox, signal: AbortSignal): Creation {
  return {
    create: (engineName) => create(services, checked, engineName, signal),
    // We do not know the container that has the name. It is from a lost call of our own, from cri-dockerd, or a stranger's.
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
  // If this process ends before the sandbox is ready, the next one must know that the sandbox is not finished.
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

/** This does not use the call's signal, because a cancelled call must clean up too. */
async function discard(services: Services, id: string): Promise<void> {
  try {
    await removeSandboxFromEngine(services, id);
  } catch (error) {
    // kubelet's GC will remove it: the record says NOTREADY, even if the Engine comes back and reports it as running.
    services.life.markNeverReady(id);
    services.logger.warn('Cannot remove a failed sandbox', { sandbox: id, error: messageOf(error) });
    await services.life.refresh(id).catch(() => undefined);
  }
}
