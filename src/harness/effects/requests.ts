import type { cri } from '../../proto';
import {
  KUBELET_POD_SECURITY,
  KUBELET_RESOURCES,
  KUBELET_SECURITY,
  type ScenarioContainer,
  type ScenarioPod,
} from './scenario';

/** The last line that a container writes before it waits for its stop. */
export const READY = 'effects: ready';
/** The beginning of the line in which a container reports the signal that ends it. */
export const ENDED_BY = 'effects: ended by';

const NAMESPACE = 'dockbridge-effects';

/** Returns whether a run created the pod with this metadata. */
export function isOfRun({ namespace, uid }: cri.IPodSandboxMetadata, run: string): boolean {
  return namespace === NAMESPACE && uid?.startsWith(`${run}-`) === true;
}

/** Returns a PodSandboxConfig as kubelet would send it. @param run the run's random id, so that pods of an earlier run do not conflict. */
export function podRequest(pod: ScenarioPod, run: string, scratch: string): cri.IPodSandboxConfig {
  return {
    metadata: {
      name: `effects-${pod.name}`,
      namespace: NAMESPACE,
      uid: `${run}-${pod.name}`,
      attempt: 0,
    },
    hostname: `effects-${pod.name}`,
    log_directory: `${scratch}/logs/${pod.name}`,
    ...pod.config,
    linux: {
      security_context: { ...KUBELET_POD_SECURITY, ...pod.security },
      sysctls: { ...pod.sysctls },
    },
  };
}

/**
 * Returns a ContainerConfig as kubelet would send it.
 * @param image the reference and the id of the image.
 * @param marker a word in the command line by which `probe` finds the container's main process.
 */
export function containerRequest(
  { name, script, config, security, resources }: ScenarioContainer,
  image: { readonly reference: string; readonly id: string },
  marker: string,
): cri.IContainerConfig {
  return {
    metadata: { name, attempt: 0 },
    image: { image: image.id, user_specified_image: image.reference },
    command: ['sh', '-c', waiting(script)],
    args: [marker],
    log_path: `${name}.log`,
    ...config,
    linux: {
      security_context: { ...KUBELET_SECURITY, ...security },
      resources: { ...KUBELET_RESOURCES, ...resources },
    },
  };
}

/** Returns a script that waits for a signal. The sleep runs in the background, because a shell handles signals only after a foreground child ends. */
function waiting(script: string | undefined): string {
  return [
    ...['TERM', 'USR1'].map(
      (signal, at) => `trap 'echo; echo "${ENDED_BY} ${signal}"; kill $child; exit ${at + 3}' ${signal}`,
    ),
    'sleep 100000 >/dev/null 2>&1 </dev/null & child=$!',
    ...(script === undefined ? [] : [script]),
    `echo '${READY}'`,
    'wait',
  ].join('; ');
}
