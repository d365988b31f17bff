/**
 * Returns the short name of an image, as Docker Engine lists it: an image of Docker Hub is named without its registry, and an official
 * image also without `library/`. Other names stay as they are.
 */
export function shortName(name: string): string {
  return name.replace(/^(?:index\.)?docker\.io\/(?:library\/(?=[^/]+$))?/, '');
}
