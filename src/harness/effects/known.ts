import type { Explanation } from './explanation';
import { DOCKER_AND_CONTAINERD } from './known/docker-and-containerd';
import { ENGINE_29 } from './known/engine-29';
import { RUNC } from './known/runc';

/**
 * Differences between runtimes that were found by running them (docs/harness-effects.md). Each explanation covers the values that were
 * seen and no others, so an unexpected value is still reported as a difference. The first explanation that fits is used.
 */
export const KNOWN: readonly Explanation[] = [...DOCKER_AND_CONTAINERD, ...ENGINE_29, ...RUNC];
