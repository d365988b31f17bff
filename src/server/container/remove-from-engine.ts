import type { Services } from '../services';

/** Removes a container or sandbox, running or not, and its record. Absent is success. */
export async function removeFromEngine(
  { docker, containerSync }: Pick<Services, 'docker' | 'containerSync'>,
  id: string,
  signal?: AbortSignal,
): Promise<void> {
  await docker.removeContainer(id, { signal });
  await containerSync.lock.run(id, () => containerSync.forget(id));
}
