import { faultLine } from '../config/fault';
import type { Given } from '../config/options';
import { chooseDaemon, servingDaemons, type RunningDaemon } from '../doctor/serving';
import { pause } from '../lib/async/abortable';
import { waitAtMost } from '../lib/async/deadline';
import { columns } from '../lib/columns';
import { counted } from '../lib/counted';
import { messageOf } from '../lib/errors';
import { findProcesses } from '../node/process/node-processes';
import { askForStatus } from '../server/client/control-client';
import { controlPath } from '../server/control-socket';
import type { StatusReport } from '../server/status-report';

export interface StatusOptions {
  readonly output: 'text' | 'json';
  /** Whether to refresh each second until Ctrl-C. */
  readonly watch: boolean;
}

const EACH_MS = 1_000;
/** Time limit in ms of the search in /proc for the daemon. If the search fails, the socket that the options name is used. */
const SEARCH_MS = 3_000;
/** Moves the cursor home and erases everything below it. This does not flicker and keeps the terminal's scrollback. */
const REDRAW = '\x1b[H\x1b[J';
const CLEAR = '\x1b[2J';

type Answer = { readonly report: StatusReport } | { readonly problem: string };

/**
 * Implements `dockbridge status`, which prints the state that the daemon of this node reports. The exit code is 1 when no
 * daemon answers. A watch continues without an answer, because the daemon may be restarting.
 */
export async function status(given: Given, { output, watch }: StatusOptions): Promise<void> {
  const path = await socketOf(given);
  if (!watch) {
    const answer = await ask(path);
    if ('problem' in answer) {
      process.stderr.write(`dockbridge status: ${printable(answer.problem)}\n`);
      process.exitCode = 1;
    } else
      process.stdout.write(output === 'json' ? `${asJson(answer.report, 2)}\n` : renderStatus(answer.report));
    return;
  }
  const stopped = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stopped.abort());
  // This error means that the reader of a pipe, such as `head`, has closed it.
  process.stdout.on('error', () => stopped.abort());
  await watchStatus(() => ask(path), output, stopped.signal);
}

async function watchStatus(
  look: () => Promise<Answer>,
  output: StatusOptions['output'],
  signal: AbortSignal,
): Promise<void> {
  const isScreen = output === 'text' && process.stdout.isTTY;
  if (isScreen) process.stdout.write(CLEAR);
  while (!signal.aborted) {
    const answer = await look();
    process.stdout.write(`${isScreen ? REDRAW : ''}${output === 'json' ? asLine(answer) : asScreen(answer)}`);
    await pause(EACH_MS, signal);
  }
}

function asLine(answer: Answer): string {
  return `${asJson('report' in answer ? answer.report : answer)}\n`;
}

function asScreen(answer: Answer): string {
  const clock = new Date().toISOString().replace('T', ' ').slice(0, 19);
  const shown = 'report' in answer ? renderStatus(answer.report) : `! ${printable(answer.problem)}\n`;
  return `${clock} UTC, until Ctrl-C\n\n${shown}\n`;
}

/** Never rejects. */
async function ask(path: string): Promise<Answer> {
  try {
    const report = await askForStatus(path);
    return report === undefined ? { problem: nobodyAt(path) } : { report };
  } catch (error) {
    return { problem: messageOf(error) };
  }
}

function nobodyAt(path: string): string {
  return (
    `no dockbridge answers at ${path}. Start it (systemctl start dockbridge) and read its log (journalctl -u dockbridge); ` +
    '`dockbridge doctor` reports what prevents it from working. A daemon that was started with --observe does not answer this command'
  );
}

/**
 * Finds the control socket of the running daemon or, if no daemon is found, the socket that the options name. Mistakes in
 * configuration files are only printed.
 */
async function socketOf(given: Given): Promise<string> {
  const search = findProcesses().then((found) => servingDaemons(found));
  const daemons = await waitAtMost('The search for the daemon', SEARCH_MS, search).catch(
    (): RunningDaemon[] => [],
  );
  const { settings, faults } = await chooseDaemon(given, process.env, daemons);
  for (const fault of faults)
    process.stderr.write(`dockbridge status: warning: ${printable(faultLine(fault))}\n`);
  return controlPath(settings.runDir);
}

/** How many calls are listed. More would not fit on one screen. */
const SHOWN_CALLS = 8;
const NAME_WIDTH = 10;

/** Renders one screen for a person on call. Lines that report problems are marked with `!`. */
export function renderStatus(report: StatusReport): string {
  const rows = [
    row('', 'dockbridge', daemon(report)),
    ...(report.refuses === '' ? [] : [row('!', '', `refuses new work: ${report.refuses}`)]),
    ...engine(report),
    ...network(report),
    ...logs(report),
    row('', 'pods', `${report.sandboxes.ready} ready, ${report.sandboxes.notready} not ready`),
    row('', 'containers', containers(report)),
    row('', 'streams', streams(report)),
    ...files(report),
    ...calls(report),
  ];
  return `${rows.map(printable).join('\n')}\n`;
}

/** Replaces control characters, because texts from the Engine, plugins and clients must not control the terminal. */
function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, '?');
}

/**
 * Formats JSON and also escapes the control characters that JSON.stringify does not escape, because some terminals obey C1
 * control characters.
 */
export function asJson(value: unknown, indent?: number): string {
  return JSON.stringify(value, null, indent).replace(
    /[\x7f-\x9f]/g,
    (char) => `\\u00${char.charCodeAt(0).toString(16)}`,
  );
}

function row(mark: '!' | '', name: string, text: string): string {
  return `${(mark === '' ? ' ' : mark).padEnd(2)}${name.padEnd(NAME_WIDTH)}  ${text}`;
}

function daemon({ version, pid, uptime, process: { residentBytes } }: StatusReport): string {
  return `${version}, process ${pid}, up ${age(uptime)}, ${bytes(residentBytes)} resident`;
}

function engine({
  engine: { state, reason, since, version, apiVersion, storageDriver },
}: StatusReport): string[] {
  const what = version === '' ? '' : ` ${version} (API ${apiVersion}, ${storageDriver})`;
  const words = state === 'away' ? `AWAY for ${age(since)}` : `connected for ${age(since)}`;
  return [
    row(
      state === 'connected' ? '' : '!',
      'Engine',
      `Docker${what}, ${words}${state === 'stuck' ? ', STUCK' : ''}`,
    ),
    ...(reason === '' ? [] : [row('', '', reason)]),
  ];
}

function network({ network: { ready, reason, message, left, failures } }: StatusReport): string[] {
  const failed = Object.entries(failures).map(([run, count]) => `${run} ${count}`);
  return [
    row(ready ? '' : '!', 'network', ready ? 'ready' : `NOT READY (${reason}): ${message}`),
    ...(left > 0
      ? [
          row(
            '',
            '',
            `plugins have not yet freed the networks of ${counted(left, 'pod that is gone', 'pods that are gone')}`,
          ),
        ]
      : []),
    ...(failed.length > 0 ? [row('', '', `runs of plugins that failed: ${failed.join(', ')}`)] : []),
  ];
}

function logs({
  logs: { trouble, followed, lagBytes = 0, gaps = 0, stalls = 0, unreadable = 0 },
}: StatusReport): string[] {
  const losses = [
    ...(gaps > 0 ? [counted(gaps, 'gap')] : []),
    ...(unreadable > 0 ? [counted(unreadable, 'unreadable record')] : []),
    ...(stalls > 0 ? [counted(stalls, 'stall')] : []),
  ];
  const told =
    followed === undefined
      ? 'not counted: they are links, or do not answer'
      : `${followed} followed, ${bytes(lagBytes)} behind${losses.length > 0 ? `; since the start ${losses.join(', ')}` : ''}`;
  return [row(trouble === '' ? '' : '!', 'logs', told), ...(trouble === '' ? [] : [row('', '', trouble)])];
}

function containers({ containers: counts, images }: StatusReport): string {
  const states = Object.entries(counts).map(([state, count]) => `${count} ${state}`);
  return `${states.join(', ')}; ${counted(images, 'image')}`;
}

function streams({ sessions, eventConsumers }: StatusReport): string {
  return `${counted(sessions, 'session')} of exec, attach and port-forward; ${counted(eventConsumers, 'client listens', 'clients listen')} to events`;
}

/** @returns a line if at least 80 % of the limit of open files is used. */
function files({ process: { openFiles, fileLimit } }: StatusReport): string[] {
  if (fileLimit === undefined || openFiles < 0.8 * fileLimit) return [];
  return [row('!', 'files', `${openFiles} of ${fileLimit} are open`)];
}

function calls({ calls: { inFlight, oldest, engine: lanes } }: StatusReport): string[] {
  const shown = oldest.slice(0, SHOWN_CALLS).map(({ method, age: seconds, about }) => [
    age(seconds),
    method,
    Object.entries(about)
      .map(([key, value]) => `${key} ${short(String(value))}`)
      .join(' '),
  ]);
  const more = inFlight - shown.length;
  const ofEngine = lanes.map(({ lane, underWay, slow, waiting, oldestCall }) => [
    lane,
    `${underWay} under way${slow > 0 ? ` (${slow} slow)` : ''}`,
    `${waiting} waiting`,
    oldestCall.what === '' ? '' : `oldest for ${age(oldestCall.age)}: ${short(oldestCall.what)}`,
  ]);
  return [
    '',
    inFlight === 0 ? 'No CRI call is in flight.' : `CRI calls in flight: ${inFlight}, the slowest first`,
    ...table(shown),
    ...(more > 0 ? [`  and ${more} more`] : []),
    lanes.length === 0 ? 'No call to the Engine is in flight.' : 'Calls to the Engine, by kind',
    ...table(ofEngine),
  ];
}

function table(rows: readonly (readonly string[])[]): string[] {
  return columns(rows.map((cells) => cells.map(printable)))
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => `  ${line}`);
}

/** Shortens ids to 12 digits, as docker does. */
function short(text: string): string {
  return text.replace(/[0-9a-f]{64}/g, (id) => id.slice(0, 12));
}

/** @returns a duration such as `3d 4h`, `5m 6s` or `0.3s`. */
export function age(seconds: number): string {
  if (seconds < 10) return `${seconds.toFixed(1)}s`;
  const whole = Math.floor(seconds);
  const parts: [number, string][] = [
    [Math.floor(whole / 86_400), 'd'],
    [Math.floor(whole / 3_600) % 24, 'h'],
    [Math.floor(whole / 60) % 60, 'm'],
    [whole % 60, 's'],
  ];
  const first = parts.findIndex(([count]) => count > 0);
  return parts
    .slice(first, first + 2)
    .map(([count, unit]) => `${count}${unit}`)
    .join(' ');
}

export function bytes(count: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const power = count < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(count) / 10));
  const value = count / 1024 ** power;
  return `${power === 0 || value >= 100 ? value.toFixed(0) : value.toFixed(1)} ${units[power] ?? ''}`;
}
