// The paths of the Engine API. Every character that could change a path is escaped.

export function execPath(execId: string, verb: string): string {
  return `/exec/${encodeURIComponent(execId)}/${verb}`;
}

export function containerPath(idOrName: string, verb?: string): string {
  return `/containers/${encodeURIComponent(idOrName)}${verb === undefined ? '' : `/${verb}`}`;
}

/** Returns the path of an image, in which the slashes of its name remain. */
export function imagePath(reference: string, verb?: string, root = 'images'): string {
  const name = reference.split('/').map(encodeURIComponent).join('/');
  return `/${root}/${name}${verb === undefined ? '' : `/${verb}`}`;
}
