import type { cri } from '../../proto';
import {
  KUBELET_POD_SECURITY,
  KUBELET_RESOURCES,
  KUBELET_SECURITY,
  type ScenarioContainer,
  type ScenarioPod,
} from './scenario';

/** The last line that a container writes before it only waits. */
export const READY = 'effects: ready';
/** Begins the line in which a container tells the signal that ends it. */
export const ENDED_BY = 'effects: ended by';

const NAMESPACE = 'dockbridge-effects';

/** Whether a pod of these metadata was made by a run. */
export function isOfRun({ namespace, uid }: cri.IPodSandboxMetadata, run: string): boolean {
  return namespace === NAMESPACE && uid?.startsWith(`${run}-`) === true;
}

/** The request for a pod as kubelet would make it. @param run another one in each run, for names that an earlier one left behind. */
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
 * The request for a container as kubelet would make it.
 * @param image reference and id of the image.
 * @param marker the word by which the container's process is found among others.
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

/** A shell waits for its child without delay for signals, which it would not while the child is in the foreground. */
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
