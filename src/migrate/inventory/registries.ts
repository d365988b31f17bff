import type { NodeFacts } from '../facts';
import {
  count,
  engineSays,
  finding,
  linesIn,
  listed,
  type Evidence,
  type Finding,
  type Theme,
} from './finding-of';

const CERTS = '/etc/docker/certs.d';
/** kubelet reads these itself, and sends what it finds with each pull. */
const KUBELETS: ReadonlySet<string> = new Set([
  '/var/lib/kubelet/config.json',
  '/var/lib/kubelet/.dockercfg',
  '/root/.docker/config.json',
  '/root/.dockercfg',
  '/.docker/config.json',
]);

/** How the node reaches registries, apart from the keys of daemon.json. */
export const registries: Theme = (facts) => [...certificates(facts), ...credentials(facts), ...proxy(facts)];

function certificates({ directories }: NodeFacts): readonly Finding[] {
  const names = (directories[CERTS] ?? []).filter((name) => !name.endsWith('/'));
  const hosts = [
    ...new Set(names.filter((name) => name.includes('/')).map((name) => name.split('/')[0] ?? '')),
  ];
  if (hosts.length === 0) return [];
  return [
    finding(
      'change',
      'registry-certs',
      `${count(hosts.length, 'registry', 'registries')} ${hosts.length === 1 ? 'has' : 'have'} certificates in ${CERTS}.`,
      `The plan copies them to the directory of the new runtime, so that they survive the removal of Docker.`,
      hosts.map((host) => ({
        where: `${CERTS}/${host}`,
        what: names
          .filter((name) => name.startsWith(`${host}/`))
          .map((name) => name.slice(host.length + 1))
          .join(', '),
      })),
    ),
  ];
}

function credentials({ credentials: files }: NodeFacts): readonly Finding[] {
  const entries = Object.entries(files);
  const helpers = entries.filter(([, { helpers: named }]) => Object.keys(named).length > 0);
  const broken = entries.filter(([, { problem }]) => problem !== '');
  const plain = entries.filter(([, { registries: hosts }]) => hosts.length > 0);
  const bridges = plain.filter(([path]) => !KUBELETS.has(path));
  const kubelets = plain.filter(([path]) => KUBELETS.has(path));
  const shown = ([path, { registries: hosts }]: (typeof entries)[number]): Evidence => ({
    where: path,
    what: `credentials for ${listed(hosts)}`,
  });
  return [
    ...(helpers.length === 0
      ? []
      : [
          finding(
            'change',
            'auth',
            "Docker's credential helpers provide credentials of registries, and kubelet does not run these helpers.",
            "Give kubelet a credential provider plugin (--image-credential-provider-config), or use imagePullSecrets. Docker's own pulls stop with Docker.",
            helpers.map(([path, { helpers: named }]) => ({
              where: path,
              what: Object.entries(named)
                .map(([host, helper]) => `${helper} for ${host === '' ? 'all registries' : host}`)
                .join(', '),
            })),
          ),
        ]),
    ...(bridges.length === 0
      ? []
      : [
          finding(
            'change',
            'auth',
            'Credentials of registries are in files that only the present runtime reads.',
            'Put them into /var/lib/kubelet/config.json, or use imagePullSecrets. The pause image is pulled by the new runtime itself: take it from a registry that needs no credentials, or load it beforehand.',
            bridges.map(shown),
          ),
        ]),
    ...(kubelets.length === 0
      ? []
      : [
          finding(
            'ok',
            'auth',
            'kubelet sends the credentials of these files with its pulls, to any runtime.',
            '',
            kubelets.map(shown),
          ),
        ]),
    ...(broken.length === 0
      ? []
      : [
          finding(
            'review',
            'auth',
            'A file with credentials of registries is broken.',
            'Correct or remove it.',
            broken.map(([path, { problem }]) => ({ where: path, what: problem })),
          ),
        ]),
  ];
}

const PROXY = /(^|["'\s=])(https?|no)_proxy=/i;

function proxy(facts: NodeFacts): readonly Finding[] {
  const { engine, files } = facts;
  const { HttpProxy = '', HttpsProxy = '', NoProxy = '' } = engine?.info ?? {};
  const effective = [
    ...(HttpProxy === '' ? [] : [engineSays(`HttpProxy ${HttpProxy}`)]),
    ...(HttpsProxy === '' ? [] : [engineSays(`HttpsProxy ${HttpsProxy}`)]),
    ...(NoProxy === '' ? [] : [engineSays(`NoProxy ${NoProxy}`)]),
  ];
  const written = Object.keys(files)
    .filter(
      (path) =>
        path.includes('/docker.service') ||
        path === '/etc/default/docker' ||
        path === '/etc/sysconfig/docker',
    )
    .flatMap((path) => linesIn(facts, path, PROXY));
  if (effective.length === 0 && written.length === 0) return [];
  return [
    finding(
      'change',
      'proxy',
      'Docker reaches registries through a proxy, and the new runtime knows nothing of it.',
      'The plan writes a drop-in for the unit of the new runtime. NO_PROXY should contain the networks of pods and services.',
      [...effective, ...written],
    ),
  ];
}
