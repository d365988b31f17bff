import type { cri } from '../../proto';
import type { ImageRecord } from '../../store/records';
import type { EngineImageInspect } from '../../engine/types';

/** Whether a name is real. The Engine writes `<none>` in place of a missing name. */
const isReal = (name: string): boolean => !name.includes('<none>');

/** Returns the names in the Engine's list. With the containerd image store, the list of tags also contains digests. */
export function namesOf({ RepoTags, RepoDigests }: Pick<EngineImageInspect, 'RepoTags' | 'RepoDigests'>): {
  repoTags: string[];
  repoDigests: string[];
} {
  const names = [...new Set([...(RepoTags ?? []), ...(RepoDigests ?? [])].filter(isReal))];
  return {
    repoTags: names.filter((name) => !name.includes('@')),
    repoDigests: names.filter((name) => name.includes('@')),
  };
}

/** Converts the answer of `GET /images/{id}/json` to a record. */
export function imageFromInspect(image: EngineImageInspect): ImageRecord {
  return {
    id: image.Id,
    ...namesOf(image),
    size: image.Size,
    user: image.Config?.User ?? '',
    stopSignal: image.Config?.StopSignal ?? '',
    labels: image.Config?.Labels ?? {},
    spec: toImageSpec(image),
  };
}

/** Returns what `crictl inspecti` shows: the image's OCI configuration under the same name as in containerd. */
export function toVerboseInfo({ labels, spec }: ImageRecord): object {
  return { labels, imageSpec: spec };
}

/** Converts the Engine's inspect to the OCI image configuration, with only the fields that the image sets. */
function toImageSpec({ Created, Architecture, Os, Config }: EngineImageInspect): object {
  const config = Config ?? {};
  const names = [
    'User',
    'ExposedPorts',
    'Env',
    'Entrypoint',
    'Cmd',
    'Volumes',
    'WorkingDir',
    'Labels',
    'StopSignal',
  ] as const;
  const isSet = (value: unknown): boolean => value !== undefined && value !== null && value !== '';
  const set = names.filter((name) => isSet(config[name])).map((name) => [name, config[name]] as const);
  return { created: Created, architecture: Architecture, os: Os, config: Object.fromEntries(set) };
}

/**
 * Converts a record to CRI's Image.
 * @param askedName the name that pods have used for the image; undefined means its first tag.
 */
export function toCriImage(image: ImageRecord, pinned: boolean, askedName?: string): cri.IImage {
  return {
    id: image.id,
    repo_tags: [...image.repoTags],
    repo_digests: [...image.repoDigests],
    size: image.size,
    ...toCriUser(image.user),
    spec: { image: askedName ?? image.repoTags[0] ?? image.repoDigests[0] ?? image.id },
    pinned,
  };
}

/** Converts `Config.User`, which is `user[:group]`. CRI expects a uid or a name, never both, and no group. */
function toCriUser(user: string): Pick<cri.IImage, 'uid' | 'username'> {
  const name = user.split(':', 1)[0] ?? '';
  if (name === '') return {};
  return /^\d+$/.test(name) ? { uid: { value: Number(name) } } : { username: name };
}
