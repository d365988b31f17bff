import { nearest } from '../../lib/nearest';
import type { Evidence, Finding, Severity } from '../finding';
import { ANY_NODE, TARGETS, type NodeState, type Outcome, type SettingRow, type Target } from './row';
import { engineSettings, type EngineConfiguration, type EngineSetting } from './setting';
import { rowOf, SETTING_ROWS } from './table';

export const NAMES: Readonly<Record<Target, string>> = { containerd: 'containerd', 'cri-o': 'CRI-O' };

const WORST: readonly Severity[] = ['block', 'change', 'review', 'ok'];

/**
 * Returns what becomes of each setting of an Engine: one finding for each key, whose id is `setting-` and the key of the table, and
 * one for all unknown keys. Without a target, a finding describes both targets. A daemon.json that is not JSON is a finding that blocks.
 */
export function settingFindings(
  configuration: EngineConfiguration,
  target?: Target,
  node: NodeState = ANY_NODE,
): Finding[] {
  const { settings, problem } = engineSettings(configuration);
  const targets = target === undefined ? TARGETS : [target];
  const byRow = new Map<SettingRow, EngineSetting[]>();
  const unknown: EngineSetting[] = [];
  for (const setting of settings) {
    const row = rowOf(setting.path);
    if (row === undefined) unknown.push(setting);
    else byRow.set(row, [...(byRow.get(row) ?? []), setting]);
  }
  return [
    ...(problem === '' ? [] : [brokenFile(configuration.file?.path ?? '', problem)]),
    ...[...byRow].map(([row, found]) => findingOf(row, found, targets, node)),
    ...(unknown.length === 0 ? [] : [unknownKeys(unknown)]),
  ];
}

function findingOf(
  row: SettingRow,
  settings: readonly EngineSetting[],
  targets: readonly Target[],
  node: NodeState,
): Finding {
  const worst = settings
    .map((setting) => ({ setting, outcomes: outcomesOf(row, setting.value, node) }))
    .sort((a, b) => rank(a.outcomes, targets) - rank(b.outcomes, targets))[0];
  const outcomes = targets.map((target) => ({ target, outcome: worst?.outcomes[target] }));
  const known = outcomes.flatMap(({ target, outcome }) =>
    outcome === undefined ? [] : [{ target, outcome }],
  );
  return {
    id: `setting-${row.key.replaceAll('.*', '')}`,
    severity: WORST[Math.min(...known.map(({ outcome }) => WORST.indexOf(outcome.severity)))] ?? 'review',
    summary: summaryOf(worst?.setting.path.join('.') ?? row.key, known),
    evidence: settings.map(evidenceOf),
    advice: adviceOf(known),
    link: `docs/migrating.md#${row.topic}`,
  };
}

/** Returns what becomes of a value on each target. */
export function outcomesOf(
  row: SettingRow,
  value: unknown,
  node: NodeState = ANY_NODE,
): Readonly<Record<Target, Outcome>> {
  if (!isEmpty(value)) return row.outcomes(value, node);
  const empty: Outcome = {
    severity: 'ok',
    becomes: 'is empty and sets nothing',
    advice: '',
    isPlanned: false,
  };
  return { containerd: empty, 'cri-o': empty };
}

/** Whether the Engine treats a value as not set. */
function isEmpty(value: unknown): boolean {
  if (value === undefined || value === null || value === '' || value === 0) return true;
  return typeof value === 'object' && Object.keys(value).length === 0;
}

function rank(outcomes: Readonly<Record<Target, Outcome>>, targets: readonly Target[]): number {
  return Math.min(...targets.map((target) => WORST.indexOf(outcomes[target].severity)));
}

function summaryOf(key: string, known: readonly { target: Target; outcome: Outcome }[]): string {
  const [first, second] = known;
  if (first === undefined) return `The setting "${key}" is set.`;
  if (second === undefined || first.outcome.becomes === second.outcome.becomes)
    return `The setting "${key}" ${first.outcome.becomes}.`;
  return known
    .map(({ target, outcome }) => `On ${NAMES[target]}, the setting "${key}" ${outcome.becomes}.`)
    .join(' ');
}

function adviceOf(known: readonly { target: Target; outcome: Outcome }[]): string {
  const [first, second] = known;
  if (second === undefined || first?.outcome.advice === second.outcome.advice)
    return first?.outcome.advice ?? '';
  return known
    .filter(({ outcome }) => outcome.advice !== '')
    .map(({ target, outcome }) => `${NAMES[target]}: ${outcome.advice}`)
    .join(' ');
}

function brokenFile(path: string, problem: string): Finding {
  return {
    id: 'daemon-json-broken',
    severity: 'block',
    summary: `The configuration of Docker Engine cannot be read: ${problem}.`,
    evidence: [{ where: path, what: problem }],
    advice: 'Correct the file; `dockerd --validate --config-file FILE` checks it.',
    link: 'docs/migrating.md#settings',
  };
}

function unknownKeys(settings: readonly EngineSetting[]): Finding {
  const known = SETTING_ROWS.map((row) => row.key);
  const guesses = settings.flatMap(({ path }) => {
    const key = path.join('.');
    const guess =
      known.find((name) => name.endsWith(`.${key}`)) ?? (key.length > 3 ? nearest(key, known) : undefined);
    return guess === undefined ? [] : [`"${key}" may stand for "${guess}".`];
  });
  return {
    id: 'setting-unknown',
    severity: 'review',
    summary: "Settings are not in dockerd's documentation, and nothing is known about their counterparts.",
    evidence: settings.map(evidenceOf),
    advice: ['Find out what the settings are for, or remove them.', ...guesses].join(' '),
    link: 'docs/migrating.md#settings',
  };
}

function evidenceOf({ path, value, where }: EngineSetting): Evidence {
  if (SECRET.test(path.at(-1) ?? '')) return { where, what: `${path.join('.')}: ***` };
  const what = typeof value === 'string' ? value : JSON.stringify(value);
  return { where, what: `${path.join('.')}: ${shorten(withoutSecrets(what))}` };
}

/** Names of options of log drivers and the like that hold a secret. */
const SECRET = /token|secret|password|passwd|credential/i;

/** Replaces the passwords of URLs, and a user without a password, which may be a token. */
function withoutSecrets(text: string): string {
  return text.replace(/:\/\/(?:([^:@/\s"]*):)?[^@/\s"]*@/g, (_, user?: string) =>
    user === undefined ? '://***@' : `://${user}:***@`,
  );
}

const MAX_EVIDENCE = 200;

function shorten(text: string): string {
  return text.length > MAX_EVIDENCE ? `${text.slice(0, MAX_EVIDENCE)}…` : text;
}
