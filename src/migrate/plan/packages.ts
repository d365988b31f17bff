import { basename } from 'node:path';
import type { NodeFacts } from '../facts';
import { UNIT_LINKS } from '../gather/configuration-files';
import type { Target } from '../mapping/row';
import { PROGRAMS } from '../runtime-programs';

/** The tool that installs packages; '' for one that the plan does not know. */
export type PackageTool = 'apt' | 'dnf' | 'zypper' | '';

const FAMILIES: readonly (readonly [PackageTool, readonly string[]])[] = [
  ['apt', ['debian', 'ubuntu']],
  ['dnf', ['rhel', 'fedora', 'centos']],
  ['zypper', ['suse', 'opensuse', 'sles']],
];

/** Reads os-release(5): ID is the distribution, ID_LIKE names those that it is made from. */
export function packageTool({ files }: Pick<NodeFacts, 'files'>): PackageTool {
  const { text = '' } = files['/etc/os-release'] ?? {};
  const names = [...text.matchAll(/^ID(?:_LIKE)?=["']?([^"'\n]*)/gm)].flatMap(([, value = '']) =>
    value.split(/\s+/),
  );
  const isOf = (family: readonly string[]) =>
    names.some((name) => family.some((one) => name === one || name.startsWith(`${one}-`)));
  return FAMILIES.find(([, family]) => isOf(family))?.[0] ?? '';
}

/** Whether the program of the target is on the node, whatever package it is from. */
export function isInstalled({ executables }: Pick<NodeFacts, 'executables'>, target: Target): boolean {
  return PROGRAMS[target].some((path) => executables.includes(path));
}

/** Whether the target's unit ran before the plan, or would after a boot. An undo must not stop it then. */
export function ranBefore(
  { processes, directories }: Pick<NodeFacts, 'processes' | 'directories'>,
  unit: string,
): boolean {
  const service = `${unit}.service`;
  return (
    processes?.programs.some((program) => program.unit === service) === true ||
    directories[UNIT_LINKS]?.some((path) => basename(path) === service) === true
  );
}

/** Returns the command that installs the target; none for an unknown tool. It removes nothing and replaces no configuration. */
export function installCommands(tool: PackageTool, target: Target): string[] {
  // RHEL has no package of containerd. Docker's repository calls it so.
  const name = target === 'cri-o' ? 'cri-o' : tool === 'dnf' ? 'containerd.io' : 'containerd';
  switch (tool) {
    case 'apt':
      return [`apt-get install --yes --no-remove -o Dpkg::Options::=--force-confold ${name}`];
    case 'dnf':
      return [`dnf install --assumeyes ${name}`];
    case 'zypper':
      return [`zypper --non-interactive install ${name}`];
    case '':
      return [];
  }
}

/** Packages of Docker and cri-dockerd. The commands remove those of them that are installed. */
const PACKAGES = 'docker-ce docker-ce-cli docker-ce-rootless-extras cri-dockerd';
/** `docker` is another program on Debian. */
const DEBS = `${PACKAGES} docker.io`;
const RPMS = `${PACKAGES} docker moby-engine`;

/** Returns the command that removes Docker's packages and leaves containerd; none for an unknown tool. */
export function removalCommands(tool: PackageTool): string[] {
  // apt-get refuses the whole list when it does not know one name.
  const debs = `dpkg-query -W -f '\${db:Status-Status} \${Package}\\n' ${DEBS} 2>/dev/null | sed -n 's/^installed //p'`;
  // rpm tells of a package that is not installed in a sentence.
  const rpms = `rpm -q --qf '%{NAME}\\n' ${RPMS} | grep -v ' '`;
  switch (tool) {
    case 'apt':
      return [`apt-get remove $(${debs})`];
    case 'dnf':
      // dnf would remove containerd.io, which came as a dependency of docker-ce.
      return [`dnf --setopt=clean_requirements_on_remove=False remove $(${rpms})`];
    case 'zypper':
      return [`zypper remove $(${rpms})`];
    case '':
      return [];
  }
}
