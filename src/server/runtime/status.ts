import type { cri, Decoded } from '../../proto';
import { featuresFor } from '../../translate/shared/engine-facts';
import type { Services } from '../services';

/**
 * Returns RuntimeReady and NetworkReady, always both, because the client library requires both. Never fails, because a
 * node whose Engine is down must report the reason here.
 */
export function status(
  services: Services,
  request: Decoded<cri.IStatusRequest>,
): Promise<cri.IStatusResponse> {
  const { network, store } = services;
  const net = network.condition();
  return Promise.resolve({
    status: {
      conditions: [
        runtimeCondition(services),
        { type: 'NetworkReady', status: net.ready, reason: net.reason, message: net.message },
      ],
    },
    // '' is the default handler. Features are reported only where they are enforced.
    runtime_handlers: ['', ...(store.engine?.runtimes ?? [])].map((name) => ({
      name,
      features: {
        recursive_read_only_mounts: featuresFor(store.engine, name).recursiveReadOnly,
        user_namespaces: false,
      },
    })),
    features: {
      supplemental_groups_policy: true,
      user_namespaces_host_network: false,
      mount_options: false,
    },
    info: request.verbose ? verboseInfo(services) : {},
  });
}

/**
 * Returns the RuntimeReady condition. With a slow Engine or failing logs, the runtime stays ready and the condition
 * contains the reason. An Engine that cannot run pods makes it not ready.
 */
function runtimeCondition({ link, logs }: Pick<Services, 'link' | 'logs'>): cri.IRuntimeCondition {
  const { state, trouble } = link;
  if (!state.ready) {
    const { word = 'DockerDaemonNotReady', reason } = state;
    return { type: 'RuntimeReady', status: false, reason: word, message: reason };
  }
  const { reason = '', message = '' } = trouble ?? logs.trouble ?? {};
  return { type: 'RuntimeReady', status: trouble?.isStuck !== true, reason, message };
}

/** Returns details for `crictl info`. Each value is JSON text. */
function verboseInfo({ store, settings, sandboxImage, network }: Services): Record<string, string> {
  return {
    config: JSON.stringify({
      sandboxImage: sandboxImage.configured,
      containerLogSpool: settings.spool,
      podNetworkMode: network.networkMode,
      podCidr: store.podCidr,
      oomScoreAdjFloor: settings.oomFloor,
    }),
    engine: JSON.stringify(store.engine ?? null),
    dockbridge: JSON.stringify({
      version: settings.dockbridgeVersion,
      sandboxes: store.sandboxes.size,
      containers: store.containers.size,
      images: store.images.size,
    }),
  };
}
