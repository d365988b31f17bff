import { basename } from 'node:path';
import { bridges } from '../bridge';
import type { NodeFacts, ProgramFacts } from '../facts';
import type { Finding } from '../finding';
import { UNIT_LINKS } from '../gather/configuration-files';

/** Units of dockbridge and of cri-dockerd. dockbridge may run in a unit of either. */
const BRIDGE_UNITS = [
  'dockbridge.service',
  'dockbridge.socket',
  'cri-docker.service',
  'cri-docker.socket',
  'cri-dockerd.service',
  'cri-dockerd.socket',
];
/** What is assumed when nothing of the node tells. */
const USUAL_BRIDGES = {
  dockbridge: ['dockbridge.service'],
  'cri-dockerd': ['cri-docker.service', 'cri-docker.socket'],
} as const;
const DOCKER = ['docker.service', 'docker.socket'];

/** The units that the migration stops. */
export interface OldUnits {
  /** All of them, the kubelet's side first. systemctl fails on a unit that does not exist. */
  readonly stopped: readonly string[];
  /** Those that are enabled now, Docker's side first. */
  readonly enabled: readonly string[];
  /** Those that run now, or would after a boot, Docker's side first. */
  readonly started: readonly string[];
  readonly findings: readonly Finding[];
}

type UnitFacts = Pick<NodeFacts, 'files' | 'directories' | 'processes' | 'kubelet'>;

/** Returns the units of the bridge and of Docker: those of the processes, and those of which the node has a file. */
export function oldUnits(facts: UnitFacts, keepDocker: boolean): OldUnits {
  const names = facts.directories[UNIT_LINKS] ?? [];
  // A node of systemd has links. Without any, nothing is known of them.
  const links = names.length === 0 ? undefined : names.map((path) => basename(path));
  const running = unitsOf(bridges(facts), links);
  const found = unique([...present(facts, BRIDGE_UNITS), ...running]);
  const ofDocker = keepDocker ? [] : dockerUnits(facts, links);
  const stopped = [...(found.length > 0 ? found : USUAL_BRIDGES[bridgeName(facts)]), ...ofDocker];
  const upwards = [...stopped].reverse();
  const enabled = links === undefined ? upwards : upwards.filter((unit) => links.includes(unit));
  const active = unitsOf(facts.processes?.programs ?? [], undefined);
  const started = upwards.filter((unit) => enabled.includes(unit) || active.includes(unit));
  return {
    stopped,
    enabled,
    // On a node that shows neither, the units ran nevertheless.
    started: started.length === 0 ? upwards : started,
    findings: findingsOf(facts, found.length > 0),
  };
}

/** Returns the units in which programs run, with the sockets that are enabled for them. */
function unitsOf(programs: readonly ProgramFacts[], links: readonly string[] | undefined): string[] {
  const services = programs.flatMap(({ unit = '' }) => (unit === '' ? [] : [unit]));
  return unique(
    services.flatMap((service) => {
      const socket = service.replace(/\.service$/, '.socket');
      return links?.includes(socket) === true ? [service, socket] : [service];
    }),
  );
}

function dockerUnits(facts: UnitFacts, links: readonly string[] | undefined): string[] {
  const found = present(facts, DOCKER);
  if (found.length > 0) return found;
  const daemons = (facts.processes?.programs ?? []).filter(({ name }) => name === 'dockerd');
  const running = unitsOf(daemons, links);
  return running.length > 0 ? running : DOCKER;
}

function bridgeName(facts: UnitFacts): 'dockbridge' | 'cri-dockerd' {
  const [bridge] = bridges(facts);
  const isOurs = facts.kubelet?.endpoint.value.includes('dockbridge') === true;
  return bridge?.name === 'dockbridge' || isOurs ? 'dockbridge' : 'cri-dockerd';
}

function present({ files }: UnitFacts, names: readonly string[]): string[] {
  const there = new Set(
    Object.keys(files)
      .filter((path) => /\/systemd\/system\/[^/]+$/.test(path))
      .map((path) => basename(path)),
  );
  return names.filter((name) => there.has(name));
}

function findingsOf(facts: UnitFacts, isKnown: boolean): Finding[] {
  const outside = bridges(facts).filter(({ unit }) => unit === '');
  if (isKnown && outside.length === 0) return [];
  return [
    {
      id: 'bridge-unit',
      severity: 'change',
      summary: 'Nothing tells which unit of systemd runs the CRI bridge.',
      evidence: outside.map(({ pid, name }) => ({
        where: `process ${pid}`,
        what: `${name} is in no unit`,
      })),
      advice:
        'Find out how the bridge is started, stop it in the step stop-engine in this way, and make sure that it does not start at the next boot.',
      link: 'docs/migrating.md#bridge-unit',
    },
  ];
}

function unique(values: readonly string[]): string[] {
  return [...new Set(values)];
}
