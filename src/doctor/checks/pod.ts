import { fail, ok, type Finding } from '../report';

/** Its name in the report; it is no check like the others, for it changes something, and is asked for. */
export const POD = 'pod';

export interface PodTrial {
  readonly image: string;
  /** The first step that failed, such as `RunPodSandbox`. */
  readonly failure?: { readonly step: string; readonly message: string } | undefined;
  readonly times: readonly (readonly [step: string, ms: number])[];
  readonly kubeletRuns: boolean;
}

/** What became of a pod that was run through CRI. */
export function judgePod({ image, failure, times, kubeletRuns }: PodTrial): Finding {
  if (failure === undefined) {
    const steps = times.map(([step, ms]) => `${step} ${(ms / 1000).toFixed(1)} s`).join(', ');
    return ok(`a pod with two containers ran and was removed: ${steps}`);
  }
  const found = `${failure.step} failed: ${failure.message}`;
  if (failure.step === 'image')
    return fail(found, `Pull ${image} by hand, or give --image another with /bin/sh that is on the node.`);
  const doubt = kubeletRuns ? ' kubelet ends pods that it does not know: in doubt run it again.' : '';
  return fail(
    found,
    `See the other lines, above all cri-socket, engine and cni, and dockbridge's log: journalctl -u dockbridge.${doubt}`,
  );
}
