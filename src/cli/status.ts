import { faultLine } from '../config/fault';
import type { Given } from '../config/options';
import { chooseDaemon, servingDaemons, type RunningDaemon } from '../doctor/serving';
import { waitAtMost } from '../lib/async/deadline';
import { messageOf } from '../lib/errors';
import { pause } from '../lib/async/abortable';
import { askForStatus } from '../server/client/control-client';
import { controlPath } from '../server/control-socket';
import type { StatusReport } from '../server/status/report';
import { findProcesses } from '../node/process/node-processes';
import { asJson, printable, renderStatus } from './status/render';

export interface StatusOptions {
  readonly output: 'text' | 'json';
  /** Again each second until Ctrl-C. */
  readonly watch: boolean;
}

const EACH_MS = 1_000;
/** A /proc that cannot be searched keeps nobody from asking at the usual place. */
const SEARCH_MS = 3_000;
/** Cursor home, erase below: nothing flickers, and what was above the command stays in the terminal's memory. */
const REDRAW = '\x1b[H\x1b[J';
const CLEAR = '\x1b[2J';

type Answer = { readonly report: StatusReport } | { readonly problem: string };

/**
 * `dockbridge status`: how the daemon of this node is, as it tells itself. The exit code is 1 when none answers; a watch goes
 * on until Ctrl-C, for daemons are restarted.
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
  // A pipe's reader that has seen enough.
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
    '`dockbridge doctor` says what keeps it from working. One that was started with --observe tells nothing here'
  );
}

/** That of the daemon that runs, where it can be found; else that of the options. Mistakes in files are told, and no more. */
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
