import { table } from './markdown';
import { createMetrics } from '../../src/metrics/series';

const HEAD = `# Metrics and health

dockbridge serves three pages over HTTP:

- \`/metrics\` has metrics of dockbridge itself, in Prometheus' text format.
- \`/metrics/cadvisor\` has metrics of the pods.
- \`/healthz\` reports whether this daemon can serve.

By default dockbridge serves them on the socket \`metrics.sock\` in \`--run-dir\`. Only root and its group can open this socket, because the pages
show the names and labels of pods. Nor does a socket need a port of the node:

    curl --unix-socket /run/dockbridge/metrics.sock http://dockbridge/metrics

A Prometheus that cannot read sockets needs a port. With \`--metrics-bind-addr 127.0.0.1:9300\` dockbridge serves the
pages on this port in addition to the socket, and with \`--metrics-address 127.0.0.1:9300\` instead of the socket. There is neither TLS nor
authentication, so do not use other interfaces than loopback. dockbridge logs a warning for such an address. With
\`--metrics-address off\` and without \`--metrics-bind-addr\` it serves no pages. If an address is already in use, dockbridge logs this, does
not serve the pages there, and serves the node all the same.
[monitoring.md](monitoring.md) has alerts, a dashboard, and how to scrape.

\`/healthz\` answers 200 if the Engine is connected and can run pods, if dockbridge has read all containers, and if no log hangs or lacks a thread. Otherwise it
answers 503. The page has a line for each check, with the reason if the check fails. A missing CNI configuration makes no check fail, because NetworkReady reports it, and pods on the host's
network need no CNI. The condition RuntimeReady differs from this page in one point: it stays true while logs hang or lack a thread.

\`/metrics/cadvisor\` has what kubelet's page of the same name should have for the pods of a Docker node: cAdvisor's container metrics, with
its names, labels and units. Seconds have fractions here. Scrape this page instead of kubelet's. kubelet can also ask for the
metrics itself (ListPodSandboxMetrics, with the gate PodAndContainerStatsFromCRI), but CRI transports only integers.

A scrape needs no Engine call, with one exception. If stats come from the Engine (\`--stats-source=engine\`, or a remote Engine),
\`/metrics/cadvisor\` asks the Engine for a reading of each pod and each container, four at a time. Counters begin at 0 when the process starts.
`;

/**
 * Renders docs/metrics.md in Prettier's format, with every series and its labels from the registry itself.
 */
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
