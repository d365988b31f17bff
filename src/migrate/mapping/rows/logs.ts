import { dropped, lost, planned, row, rowBy, type SettingRow } from '../row';

const FILES_ONLY =
  'The target writes the log files of CRI and nothing else. Collect them from /var/log/containers with an agent.';

/** Settings about logs and metrics. */
export const LOG_ROWS: readonly SettingRow[] = [
  rowBy('logs', 'log-driver', (value) =>
    value === 'json-file' || value === 'local'
      ? dropped('is replaced by the log files of CRI')
      : [
          lost('has no counterpart', FILES_ONLY),
          value === 'journald' ? planned('becomes log_to_journald') : lost('has no counterpart', FILES_ONLY),
        ],
  ),
  row('logs', 'log-opts.max-size', planned("becomes the kubelet's containerLogMaxSize")),
  row('logs', 'log-opts.max-file', planned("becomes the kubelet's containerLogMaxFiles")),
  row('logs', 'log-opts.compress', dropped('needs no setting: the kubelet compresses rotated logs')),
  row(
    'logs',
    'log-opts.*',
    lost(
      'has no counterpart',
      'The log files of CRI have no options. Let the agent that collects them add labels and fields.',
    ),
  ),
  rowBy('logs', 'debug', (value) =>
    value === false
      ? dropped('is the default')
      : [planned('becomes level "debug" of [debug]'), planned('becomes log_level "debug"')],
  ),
  row('logs', 'log-level', planned('becomes level of [debug]'), planned('becomes log_level')),
  row(
    'logs',
    'log-format',
    planned('becomes format of [debug]'),
    lost(
      'is a flag of crio, and not a key of its configuration',
      'Add --log-format to the command of crio.service if a program parses its log.',
    ),
  ),
  row('logs', 'raw-logs', dropped("concerns only the colours in dockerd's log")),
  row(
    'logs',
    'metrics-addr',
    planned(
      'becomes address of [metrics]',
      'The names of the series differ: change the dashboards and alerts.',
    ),
    planned(
      'becomes the port of [crio.metrics]',
      'The names of the series differ: change the dashboards and alerts.',
    ),
  ),
  row('logs', 'network-diagnostic-port', dropped('concerns the overlay networks of Swarm only')),
  row('logs', 'oom-score-adjust', planned('becomes OOMScoreAdjust in a systemd drop-in of the target')),
];
