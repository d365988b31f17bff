import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { readdir, stat } from 'node:fs/promises';
import { request, type IncomingMessage } from 'node:http';
import { hostname, release } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { parse } from 'yaml';
import {
  CONFIG_PLACE,
  readConfigFiles,
  readConfiguration,
  type ConfigPlace,
} from '../../config/configuration';
import { sourcedOptions, type Given, type Settings } from '../../config/options';
import { counted } from '../../lib/counted';
import { errnoOf, failedPrecondition, internal, unavailable } from '../../lib/errors';
import { flagOf } from '../../lib/flags';
import { SmallFile } from '../../node/disk/files';
import { askForStatus } from '../../server/client/control-client';
import { controlPath } from '../../server/control-socket';
import type { Sources } from '../check';
import { renderDoctorReport, type DoctorReport } from '../report';
import type { Item } from './bundle';
import { redactArguments, redactJson } from './redact';

const MAX_BYTES = 1 << 20;
const MAX_CNI_FILES = 30;
const MAX_LISTED = 2_000;
const JOURNALS: readonly (readonly [unit: string, lines: number])[] = [
  ['dockbridge', 2_000],
  ['docker', 500],
  ['kubelet', 500],
];
const JOURNAL_BYTES = 8 << 20;

const MAX_PAGE_BYTES = 4 << 20;

/** The sources of a bundle's contents. */
export interface BundleSources extends Pick<
  Sources,
  'settings' | 'processes' | 'daemon' | 'version' | 'info' | 'kubelet'
> {
  readonly report: DoctorReport;
  /** The flags with which the daemon was started, and the doctor's own flags. */
  readonly flags: Given;
  readonly environment: NodeJS.ProcessEnv;
  readonly answerMs: number;
}

/** Lists the files that maintainers ask for first. They contain names of pods but no data of pods, and recognizable secrets are removed. */
export function bundleItems(sources: BundleSources, place: ConfigPlace = CONFIG_PLACE): Item[] {
  const { report, settings, answerMs, version, info } = sources;
  const item = (name: string, read: Item['read'], keeps: Item['keeps'] = 'beginning'): Item => ({
    name,
    keeps,
    read,
  });
  return [
    item('doctor.txt', () => Promise.resolve(renderDoctorReport(report))),
    item('doctor.json', () => Promise.resolve(asJson(report))),
    item('versions.json', () => versions(sources)),
    item('options.json', () => optionsInForce(sources, place)),
    item('config-files.json', () => configFiles(sources, place)),
    item('status.json', async () => {
      const status = await askForStatus(controlPath(settings.runDir));
      return status && asJson(status);
    }),
    item('metrics.txt', () => page(settings, '/metrics', answerMs)),
    item('healthz.txt', () => page(settings, '/healthz', answerMs)),
    item('docker-version.json', async () => asJson(await version())),
    item('docker-info.json', async () => asJson((await info()).answer)),
    item('daemon.json', () => daemonJson(sources)),
    item('kubelet.json', () => kubelet(sources)),
    item('processes.json', () =>
      Promise.resolve(
        asJson(sources.processes.map(({ name, pid, args }) => ({ name, pid, args: redactArguments(args) }))),
      ),
    ),
    item('state-engine.json', () => json(join(settings.stateDir, 'engine.json'))),
    item('state-dir.txt', () => listing(settings.stateDir)),
    item('run-dir.txt', () => listing(settings.runDir)),
    item('cni.json', () => cniFiles(settings.cniConfDir)),
    ...JOURNALS.map(([unit, lines]) => item(`log-${unit}.txt`, () => journal(unit, lines, answerMs), 'end')),
  ];
}

export function readmeOf(version: string, time: Date): string {
  return (
    `Made by dockbridge doctor --bundle, version ${version}, on ${hostname()} at ${time.toISOString()}.\n` +
    'Passwords, tokens, registry credentials and values of environment variables were removed where they could be recognized; ' +
    'names of pods, images and hosts were not removed. Look through the files before you share them.'
  );
}

function asJson(value: unknown): string {
  return `${JSON.stringify(redactJson(value), null, 2)}\n`;
}

async function versions({ report, daemon }: BundleSources): Promise<string> {
  const os = await text('/etc/os-release').catch(() => '');
  return asJson({
    ...{ dockbridge: report.version, node: process.version, kernel: release(), arch: process.arch },
    os: /^PRETTY_NAME="?([^"\n]*)/m.exec(os ?? '')?.[1] ?? '',
    daemon: daemon === undefined ? 'none was found' : `process ${daemon.pid}`,
  });
}

async function optionsInForce(
  { settings, flags, environment }: BundleSources,
  place: ConfigPlace,
): Promise<string> {
  const { values } = await readConfiguration(flags, environment, place);
  return asJson(
    Object.fromEntries(
      sourcedOptions(flags, environment, values).map(([key, { name }, { from, at }]) => [
        name,
        {
          ...{ value: settings[key], source: from },
          ...(at === undefined ? {} : { place: `${at.file}:${at.line}` }),
        },
      ]),
    ),
  );
}

/** @returns the contents of the configuration files, without comments, and their mistakes. */
async function configFiles({ flags, environment }: BundleSources, place: ConfigPlace): Promise<string> {
  const { files, faults, warnings } = await readConfigFiles(flags, environment, place);
  const contents = files.map(({ path, text: content }) => [path, parsed(content)] as const);
  return asJson({ files: Object.fromEntries(contents), faults, warnings });
}

async function page(
  { metricsAddress, metricsBindAddr, runDir }: Settings,
  path: string,
  limitMs: number,
): Promise<string | undefined> {
  if (metricsAddress === 'run-dir') return httpGet({ path: join(runDir, 'metrics.sock') }, path, limitMs);
  const address = metricsAddress === 'off' ? metricsBindAddr : metricsAddress;
  return address && httpGet(address, path, limitMs);
}

/**
 * Reads a page of the daemon's metrics endpoint.
 * @throws when there is no answer in time, or when the page is larger than 4 MiB.
 */
async function httpGet(
  address: { readonly path: string } | { readonly host: string; readonly port: number },
  page: string,
  limitMs: number,
): Promise<string> {
  const target = 'path' in address ? { socketPath: address.path } : address;
  const call = request({ ...target, path: page, agent: false, timeout: limitMs });
  call.on('timeout', () => call.destroy(unavailable(`no answer within ${limitMs / 1000} s`)));
  call.end();
  const [response] = (await once(call, 'response')) as [IncomingMessage];
  let text = '';
  response.setEncoding('utf8');
  for await (const chunk of response as AsyncIterable<string>) {
    text += chunk;
    if (text.length > MAX_PAGE_BYTES) throw internal(`the page is longer than ${MAX_PAGE_BYTES} bytes`);
  }
  return text;
}

async function daemonJson({ processes }: BundleSources): Promise<string | undefined> {
  const engine = processes.find(({ name }) => name === 'dockerd');
  return json(flagOf(engine?.args ?? [], 'config-file') ?? '/etc/docker/daemon.json');
}

async function kubelet({ kubelet: facts }: BundleSources): Promise<string> {
  const { from, isRunning, args, file, problems } = await facts();
  const config = file === '' ? undefined : await text(file).catch((error: unknown) => String(error));
  return asJson({
    ...{ from, isRunning, args: redactArguments(args), file, problems },
    config: config === undefined ? undefined : parsed(config),
  });
}

/** Parses a configuration. A file that cannot be parsed is left out, because its secrets could not be removed. */
function parsed(config: string): unknown {
  try {
    return parse(config) as unknown;
  } catch {
    return 'not included: it cannot be parsed';
  }
}

async function cniFiles(directory: string): Promise<string> {
  const names = (await readdir(directory)).filter((name) => /\.(conf|conflist|json)$/.test(name)).sort();
  const files = await Promise.all(
    names.slice(0, MAX_CNI_FILES).map(async (name) => {
      const content = await text(join(directory, name)).catch((error: unknown) => String(error));
      return [name, content === undefined ? undefined : parsed(content)] as const;
    }),
  );
  return asJson({ directory, files: Object.fromEntries(files) });
}

async function json(path: string): Promise<string | undefined> {
  const content = await text(path);
  if (content === undefined) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(content);
  } catch {
    throw failedPrecondition(`${path} is not JSON`);
  }
  return asJson(value);
}

/** Reads a file. Returns undefined when the file does not exist. */
async function text(path: string): Promise<string | undefined> {
  try {
    return await new SmallFile(path, MAX_BYTES).text();
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** Lists names, sizes and times in a directory, without the contents of the files. */
async function listing(directory: string): Promise<string> {
  const names = (await readdir(directory, { recursive: true })).sort();
  const lines = [];
  for (const name of names.slice(0, MAX_LISTED)) {
    const info = await stat(join(directory, name)).catch(() => undefined);
    const mode = info?.mode.toString(8) ?? '?';
    lines.push(`${mode} ${info?.size ?? '?'} ${info?.mtime.toISOString() ?? '?'} ${name}`);
  }
  return `${directory}: ${counted(names.length, 'entry', 'entries')}\n${lines.join('\n')}\n`;
}

async function journal(unit: string, lines: number, limitMs: number): Promise<string | undefined> {
  const args = ['--unit', unit, '--lines', String(lines), '--output', 'short-iso', '--no-pager', '--quiet'];
  const options = {
    timeout: limitMs,
    maxBuffer: JOURNAL_BYTES,
    killSignal: 'SIGKILL' as const,
    env: process.env,
  };
  const { stdout } = await promisify(execFile)('journalctl', args, options);
  return stdout === '' ? undefined : stdout;
}
