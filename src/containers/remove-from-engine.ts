import type { ContainerServices } from './services';

/** Removes a container or sandbox, running or not, and its record. Absent is success. */
export async function removeFromEngine(
  { docker, containerSync, sessions }: Pick<ContainerServices, 'docker' | 'containerSync' | 'sessions'>,
  id: string,
  signal?: AbortSignal,
): Promise<void> {
  await sessions.hurryDuring(id, () => docker.removeContainer(id, { signal }));
  await containerSync.lock.run(id, () => containerSync.forget(id));
}

/** The same for a sandbox, whose end takes down its network in the Engine. */
export async function removeSandboxFromEngine(
  services: Parameters<typeof removeFromEngine>[0] & Pick<ContainerServices, 'teardowns'>,
  id: string,
  signal?: AbortSignal,
): Promise<void> {
  await services.teardowns.run(id, (limit) => removeFromEngine(services, id, limit), signal);
}
