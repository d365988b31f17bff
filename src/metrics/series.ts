import { Counter, Gauge, Histogram, Registry } from 'prom-client';

/** Seconds: calls answered from memory, Engine calls, pulls. */
const BUCKETS = [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10, 60, 300];
/** Seconds. */
const LAG_BUCKETS = [0.005, 0.02, 0.1, 0.5, 2, 10, 60];

/** All series of /metrics, with names by Prometheus' rules: the unit in the name, `_total` on what only grows. */
export function createMetrics() {
  const registry = new Registry();
  const registers = [registry];
  const gauge = <Label extends string>(name: string, help: string, ...labelNames: Label[]): Gauge<Label> =>
    new Gauge({ name, help, labelNames, registers });
  const counter = <Label extends string>(
    name: string,
    help: string,
    ...labelNames: Label[]
  ): Counter<Label> => new Counter({ name, help, labelNames, registers });
  const histogram = <Label extends string>(
    name: string,
    help: string,
    buckets: number[],
    ...labelNames: Label[]
  ): Histogram<Label> => new Histogram({ name, help, labelNames, buckets, registers });
  return {
    registry,
    buildInfo: gauge('dockbridge_build_info', 'Always 1.', 'version', 'node_version'),
    calls: counter(
      'dockbridge_cri_calls_total',
      'CRI calls answered, by gRPC status code.',
      'method',
      'code',
    ),
    callSeconds: histogram(
      'dockbridge_cri_call_duration_seconds',
      'Time from the arrival of a CRI call to its answer; of a stream to its end.',
      BUCKETS,
      'method',
    ),
    engineUp: gauge('dockbridge_engine_up', '1 while Docker Engine is connected and was read completely.'),
    engineStuck: gauge(
      'dockbridge_engine_stuck',
      '1 while Docker Engine answers pings but can run no pods: its networks hang, or calls wait too long for their turn.',
    ),
    laneSlow: gauge(
      'dockbridge_engine_calls_slow',
      'Engine calls under way that take unusually long, by kind of call.',
      'lane',
    ),
    laneWaiting: gauge(
      'dockbridge_engine_calls_waiting',
      'Engine calls that wait for their turn, by kind of call.',
      'lane',
    ),
    laneOldestWait: gauge(
      'dockbridge_engine_oldest_wait_seconds',
      'How long the first of them has waited.',
      'lane',
    ),
    laneOldestCall: gauge(
      'dockbridge_engine_oldest_call_seconds',
      'Age of the oldest Engine call under way, by kind of call.',
      'lane',
    ),
    engineInfo: gauge(
      'dockbridge_engine_info',
      'Always 1; the Engine as it was at the last connection.',
      'version',
      'api_version',
      'storage_driver',
      'cgroup_driver',
    ),
    engineCalls: counter(
      'dockbridge_engine_calls_total',
      'Calls of the Engine API, by what became of them: OK or the code that it means in gRPC.',
      'operation',
      'code',
    ),
    engineSeconds: histogram(
      'dockbridge_engine_call_duration_seconds',
      'Time of Engine calls; of streams until they are open, of a pull until it has ended.',
      BUCKETS,
      'operation',
    ),
    engineInFlight: gauge(
      'dockbridge_engine_calls_in_flight',
      'Engine calls under way; pullImage are the pulls.',
      'operation',
    ),
    eventLag: histogram(
      'dockbridge_engine_event_lag_seconds',
      "Time from the Engine's stamp on an event to the store's knowing of it; a death waits for the log.",
      LAG_BUCKETS,
    ),
    sandboxes: gauge('dockbridge_sandboxes', 'Pod sandboxes in the store.', 'state'),
    containers: gauge('dockbridge_containers', 'Containers in the store.', 'state'),
    images: gauge('dockbridge_images', 'Images in the store.'),
    podEvents: counter('dockbridge_container_events_total', 'CRI events made while somebody listened.'),
    eventConsumers: gauge('dockbridge_container_event_consumers', 'Open GetContainerEvents calls.'),
    eventBacklog: gauge(
      'dockbridge_container_event_backlog',
      'Events that the slowest of their consumers has yet to take.',
    ),
    eventCutOffs: counter(
      'dockbridge_container_event_cut_offs_total',
      'Consumers that were ended because they did not keep up.',
    ),
    logsFollowed: gauge('dockbridge_logs_followed', 'Containers whose logs are followed.'),
    logLag: gauge('dockbridge_log_lag_bytes', "Bytes in the Engine's spools that are not in CRI logs yet."),
    logLargestLag: gauge(
      'dockbridge_log_largest_lag_bytes',
      'The same of the one container that is furthest behind.',
    ),
    logRecords: counter('dockbridge_log_records_total', 'Lines copied to CRI logs.'),
    logBytes: counter('dockbridge_log_bytes_total', "Bytes read from the Engine's spools."),
    logGaps: counter(
      'dockbridge_log_gaps_total',
      'Times that output was discarded by the Engine before it was copied.',
    ),
    logUnreadable: counter('dockbridge_log_unreadable_total', "The Engine's log records that made no sense."),
    logStalls: counter(
      'dockbridge_log_stalls_total',
      'Times that a log stood still because of a file system error.',
    ),
    logsHung: gauge('dockbridge_logs_hung', '1 while the file system of a log does not answer.'),
    logsWithoutThread: gauge(
      'dockbridge_logs_without_thread',
      '1 while no log is written because the node has no thread for the log worker, or because the worker keeps ending.',
    ),
    ownLogDropped: counter(
      'dockbridge_own_log_lines_dropped_total',
      "Lines of dockbridge's own log that were dropped, because nobody read them or the disk was full.",
    ),
    streamingSessions: gauge(
      'dockbridge_streaming_sessions',
      'Sessions of exec, attach and port-forward that are open.',
    ),
    pluginSeconds: histogram(
      'dockbridge_cni_plugin_duration_seconds',
      'Runs of CNI plugins, good or bad.',
      BUCKETS,
      'plugin',
      'command',
    ),
    pluginFailures: counter(
      'dockbridge_cni_plugin_failures_total',
      'Runs of CNI plugins that failed; a VERSION that fails is how the oldest plugins answer.',
      'plugin',
      'command',
    ),
    networkReady: gauge(
      'dockbridge_network_ready',
      '1 while pods can be given a network: what kubelet sees as NetworkReady.',
    ),
    unserved: counter(
      'dockbridge_cni_unserved_requests_total',
      'Pods that asked for host ports or bandwidth limits which their network does not provide.',
      'capability',
    ),
    cpuSeconds: counter('process_cpu_seconds_total', 'Processor time, user and system, of all threads.'),
    residentBytes: gauge('process_resident_memory_bytes', 'Resident memory.'),
    startTime: gauge('process_start_time_seconds', 'Start of the process since the epoch.'),
    openFds: gauge('process_open_fds', 'Open file descriptors.'),
    maxFds: gauge('process_max_fds', 'The limit of open file descriptors.'),
    heapBytes: gauge(
      'nodejs_heap_used_bytes',
      'JavaScript objects of the main thread, those not yet collected too.',
    ),
    externalBytes: gauge('nodejs_external_memory_bytes', 'Buffers outside of that heap.'),
    loopUtilization: gauge(
      'nodejs_eventloop_utilization_ratio',
      'Share of the time since the last scrape in which the main thread was busy.',
    ),
  };
}

export type Metrics = ReturnType<typeof createMetrics>;
