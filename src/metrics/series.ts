import { Counter, Gauge, Histogram, Registry } from 'prom-client';

/**
 * The bounds of the buckets for durations, in seconds. They cover calls that are answered from memory, Engine calls, and pulls.
 */
const BUCKETS = [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10, 60, 300];
/** The bounds of the buckets for lags, in seconds. */
const LAG_BUCKETS = [0.005, 0.02, 0.1, 0.5, 2, 10, 60];

/**
 * Creates all series of /metrics. Their names follow Prometheus' rules: a name contains the unit, if any, and counters end in
 * `_total`.
 */
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
      'CRI calls that were answered, by gRPC status code.',
      'method',
      'code',
    ),
    callSeconds: histogram(
      'dockbridge_cri_call_duration_seconds',
      'Time from the arrival of a CRI call to its answer. For a streaming call, time until the stream ends.',
      BUCKETS,
      'method',
    ),
    engineUp: gauge(
      'dockbridge_engine_up',
      '1 while Docker Engine is connected and its pods, containers and images have all been read.',
    ),
    engineStuck: gauge(
      'dockbridge_engine_stuck',
      '1 while Docker Engine answers pings but cannot run pods, because its networks hang or because calls wait too long for their turn.',
    ),
    laneSlow: gauge(
      'dockbridge_engine_calls_slow',
      'Engine calls in progress that are taking unusually long, by kind of call.',
      'lane',
    ),
    laneWaiting: gauge(
      'dockbridge_engine_calls_waiting',
      'Engine calls that are waiting for their turn, by kind of call.',
      'lane',
    ),
    laneOldestWait: gauge(
      'dockbridge_engine_oldest_wait_seconds',
      'How long the Engine call at the head of the queue has been waiting for its turn, by kind of call.',
      'lane',
    ),
    laneOldestCall: gauge(
      'dockbridge_engine_oldest_call_seconds',
      'Age of the oldest Engine call in progress, by kind of call.',
      'lane',
    ),
    engineInfo: gauge(
      'dockbridge_engine_info',
      'Always 1. The labels describe the Engine as it was when dockbridge last connected.',
      'version',
      'api_version',
      'storage_driver',
      'cgroup_driver',
    ),
    engineCalls: counter(
      'dockbridge_engine_calls_total',
      'Engine API calls that have ended, by result: OK, or the gRPC code for the error.',
      'operation',
      'code',
    ),
    engineSeconds: histogram(
      'dockbridge_engine_call_duration_seconds',
      'Duration of Engine calls. A stream counts until it is open, a pull until it has ended.',
      BUCKETS,
      'operation',
    ),
    engineInFlight: gauge(
      'dockbridge_engine_calls_in_flight',
      'Engine calls in progress, by operation. Image pulls are under pullImage.',
      'operation',
    ),
    eventLag: histogram(
      'dockbridge_engine_event_lag_seconds',
      "Time from an Engine event's own timestamp until the store is updated. For the death of a container, this includes completing its log.",
      LAG_BUCKETS,
    ),
    sandboxes: gauge('dockbridge_sandboxes', 'Pod sandboxes in the store.', 'state'),
    containers: gauge('dockbridge_containers', 'Containers in the store.', 'state'),
    images: gauge('dockbridge_images', 'Images in the store.'),
    podEvents: counter(
      'dockbridge_container_events_total',
      'CRI events that were made while at least one client was listening.',
    ),
    eventConsumers: gauge('dockbridge_container_event_consumers', 'Open GetContainerEvents calls.'),
    eventBacklog: gauge(
      'dockbridge_container_event_backlog',
      'CRI events that the slowest GetContainerEvents client has not read yet.',
    ),
    eventCutOffs: counter(
      'dockbridge_container_event_cut_offs_total',
      'GetContainerEvents calls that dockbridge ended because the client did not keep up.',
    ),
    logsFollowed: gauge('dockbridge_logs_followed', 'Containers whose logs dockbridge is following.'),
    logLag: gauge('dockbridge_log_lag_bytes', "Bytes in the Engine's spools that are not in CRI logs yet."),
    logLargestLag: gauge(
      'dockbridge_log_largest_lag_bytes',
      'dockbridge_log_lag_bytes of the container that is furthest behind.',
    ),
    logRecords: counter('dockbridge_log_records_total', 'Lines copied to CRI logs.'),
    logBytes: counter('dockbridge_log_bytes_total', "Bytes read from the Engine's spools."),
    logGaps: counter(
      'dockbridge_log_gaps_total',
      'How often the Engine discarded output before dockbridge copied it.',
    ),
    logUnreadable: counter(
      'dockbridge_log_unreadable_total',
      "Records in the Engine's spools that could not be parsed.",
    ),
    logStalls: counter(
      'dockbridge_log_stalls_total',
      'How often copying a log stopped because of a file system error.',
    ),
    logsHung: gauge('dockbridge_logs_hung', '1 while the file system of at least one log does not answer.'),
    logsWithoutThread: gauge(
      'dockbridge_logs_without_thread',
      '1 while no log is written, because no thread can be started for the log worker or because the worker keeps ending.',
    ),
    ownLogDropped: counter(
      'dockbridge_own_log_lines_dropped_total',
      "Lines of dockbridge's own log that were dropped because nobody read them or because the disk was full.",
    ),
    streamingSessions: gauge(
      'dockbridge_streaming_sessions',
      'Open sessions of exec, attach and port-forward.',
    ),
    pluginSeconds: histogram(
      'dockbridge_cni_plugin_duration_seconds',
      'Duration of each run of a CNI plugin, whether it succeeded or failed.',
      BUCKETS,
      'plugin',
      'command',
    ),
    pluginFailures: counter(
      'dockbridge_cni_plugin_failures_total',
      'Runs of CNI plugins that failed. The oldest plugins do not know the command VERSION, so its failures are normal.',
      'plugin',
      'command',
    ),
    networkReady: gauge(
      'dockbridge_network_ready',
      '1 while pods can be given a network, as in the condition NetworkReady that kubelet sees.',
    ),
    unserved: counter(
      'dockbridge_cni_unserved_requests_total',
      'Pods that requested host ports or bandwidth limits that their network does not provide.',
      'capability',
    ),
    cpuSeconds: counter('process_cpu_seconds_total', 'User and system CPU time of all threads.'),
    residentBytes: gauge('process_resident_memory_bytes', 'Resident memory.'),
    startTime: gauge(
      'process_start_time_seconds',
      'Start time of the process, in seconds since the Unix epoch.',
    ),
    openFds: gauge('process_open_fds', 'Open file descriptors.'),
    maxFds: gauge('process_max_fds', 'The limit of open file descriptors.'),
    heapBytes: gauge(
      'nodejs_heap_used_bytes',
      'Heap memory of the main thread used by JavaScript objects, including garbage not yet collected.',
    ),
    externalBytes: gauge(
      'nodejs_external_memory_bytes',
      "Memory of buffers outside the main thread's JavaScript heap.",
    ),
    loopUtilization: gauge(
      'nodejs_eventloop_utilization_ratio',
      'Share of the time since the last scrape in which the main thread was busy.',
    ),
  };
}

export type Metrics = ReturnType<typeof createMetrics>;
