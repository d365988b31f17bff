import { table } from './markdown';
import { createMetrics } from '../../src/metrics/series';

const HEAD = `# Metrics and health

\`/metrics\` tells of dockbridge itself in Prometheus' text format, \`/metrics/cadvisor\` of the pods, \`/healthz\` says whether this daemon can serve. Where they are is
\`--metrics-address\`: by default on the socket \`metrics.sock\` in \`--run-dir\`, which only root and its group can open
(pod names and labels are nobody else's business) and which takes no port of the node:

    curl --unix-socket /run/dockbridge/metrics.sock http://dockbridge/metrics

For a Prometheus on the node or behind an authenticating proxy: \`--metrics-bind-addr 127.0.0.1:9300\` serves the same pages there too,
beside the socket (\`--metrics-address 127.0.0.1:9300\` in its place). There is no TLS and no
authentication here, so keep it off other interfaces: an address that is not loopback's is warned of in the log. \`--metrics-address off\` and
no \`--metrics-bind-addr\` serve nothing. Should an address be taken, that is logged
and the node goes on running pods. [monitoring.md](monitoring.md) has alerts, a dashboard, and how to scrape.

\`/healthz\` answers 200 when the Engine is connected and was read completely, and no log hangs, else 503 with a line for each check and why it
fails. It is what kubelet sees as RuntimeReady; a missing CNI configuration is NetworkReady's business, for pods on the
host's network run without one.

\`/metrics/cadvisor\` is what kubelet's page of that name should have for the pods of a Docker node: cAdvisor's container metrics
with its names, labels and units, here with fractions of seconds. Scrape it instead of kubelet's; or let kubelet ask for
them (ListPodSandboxMetrics, gate PodAndContainerStatsFromCRI), which takes integers only.

No scrape costs an Engine call, but for \`/metrics/cadvisor\` where stats are the Engine's (\`--stats-source=engine\`, or a remote
Engine): one of its readings for each pod and each container, four at a time. Counters begin at 0 with the process.
`;

/** docs/metrics.md: every series with its labels, from the registry itself, as Prettier would format it. */
export function renderMetricsDoc(): string {
  const all = Object.values(createMetrics()).flatMap((metric) =>
    'inc' in metric || 'observe' in metric ? [metric] : [],
  );
  const rows = all.map((metric) => {
    const { name, help, labelNames } = metric as unknown as {
      name: string;
      help: string;
      labelNames: readonly string[];
    };
    return [`\`${name}\``, metric.constructor.name.toLowerCase(), labelNames.join(', '), help];
  });
  return [HEAD, table(['Series', 'Type', 'Labels', 'What it says'], rows)].join('\n');
}
