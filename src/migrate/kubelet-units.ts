/** Where units are, the strongest place first (systemd.unit(5)). */
const DIRECTORIES = ['/etc', '/usr/local/lib', '/usr/lib', '/lib'].map((place) => `${place}/systemd/system/`);

const KUBELET_UNIT = /^kubelet\.service(\.d\/[^/]+\.conf)?$/;

/** Units that end with the migration. */
const OLD_UNITS: ReadonlySet<string> = new Set(
  ['docker', 'cri-docker', 'cri-dockerd', 'dockbridge'].flatMap((name) => [
    `${name}.service`,
    `${name}.socket`,
  ]),
);

const DEPENDENCY = /^(\s*(?:After|Requires|Wants|BindsTo|PartOf|Requisite)\s*=\s*)(.*?)(\s*)$/;

/** Returns the path of a unit or drop-in of the kubelet below its directory; undefined for another file. */
export function kubeletUnit(path: string): string | undefined {
  const directory = DIRECTORIES.find((one) => path.startsWith(one));
  const name = directory === undefined ? '' : path.slice(directory.length);
  return KUBELET_UNIT.test(name) ? name : undefined;
}

/** Returns the kubelet's units and drop-ins among the paths, without those that a file of the same name in a stronger place hides. */
export function kubeletUnits(paths: readonly string[]): string[] {
  const rank = (path: string): number => DIRECTORIES.findIndex((one) => path.startsWith(one));
  const chosen = new Map<string, string>();
  for (const path of paths) {
    const name = kubeletUnit(path);
    const other = name === undefined ? undefined : chosen.get(name);
    if (name !== undefined && (other === undefined || rank(path) < rank(other))) chosen.set(name, path);
  }
  return paths.filter((path) => chosen.get(kubeletUnit(path) ?? '') === path);
}

/**
 * Whether a line of a unit depends on a unit that ends with the migration.
 * @param others names of such units besides the usual ones.
 */
export function dependsOnOld(line: string, others: readonly string[] = []): boolean {
  return replaceOld(line, '', others) !== line;
}

/** Puts another unit in the place of those that end with the migration. */
export function replaceOld(line: string, unit: string, others: readonly string[] = []): string {
  const [, key, names = '', end = ''] = DEPENDENCY.exec(line) ?? [];
  const words = names.split(/\s+/);
  const isOld = (word: string): boolean => OLD_UNITS.has(word) || others.includes(word);
  if (key === undefined || !words.some(isOld)) return line;
  const replaced = words.map((word) => (isOld(word) ? unit : word));
  return `${key}${[...new Set(replaced)].join(' ')}${end}`;
}
