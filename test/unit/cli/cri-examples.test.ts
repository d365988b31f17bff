import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { parse, parseAllDocuments } from 'yaml';
import { createProgram } from '../../../src/cli/program';
import { readRules } from '../../../src/harness/compare/rules';
import { readScenario } from '../../../src/harness/drive/scenario';
import { readPlan } from '../../../src/harness/fault/fault-plan';

const ROOT = join(__dirname, '../../..');
const EXAMPLES = join(ROOT, 'examples/harness');
const read = (name: string): string => readFileSync(join(EXAMPLES, name), 'utf8');

interface Workflow {
  readonly env: Readonly<Record<string, string>>;
  readonly jobs: { readonly cri: { readonly steps: readonly { readonly run?: string }[] } };
}

it.each(readdirSync(EXAMPLES))('%s is valid YAML', (name) => {
  expect(parseAllDocuments(read(name)).flatMap(({ errors, warnings }) => [...errors, ...warnings])).toEqual(
    [],
  );
});

it('every command accepts the example files that it reads', () => {
  expect(readScenario(read('scenario.yaml')).steps).not.toHaveLength(0);
  expect(readRules(read('rules.yaml'), 'rules.yaml')).not.toHaveLength(0);
  expect(new Set(readPlan(read('faults.yaml')).map(({ fault }) => fault.kind))).toEqual(
    new Set(['lose_answer', 'error', 'stale', 'hang', 'cut']),
  );
});

/** Returns the arguments of each `dockbridge …` command in a shell script, without the program's name. */
function commandsIn(shell: string): string[][] {
  return [...shell.matchAll(/^(?:# |\s+)?(?:sudo )?dockbridge (cri .+|demo .+)$/gm)].map(([, rest = '']) =>
    rest
      .replace(/ &$/, '')
      .split(' ')
      .map((word) => word.replaceAll('"', '')),
  );
}

/**
 * Parses the words with Commander. @throws Commander's error for unknown or missing options and arguments.
 */
async function accept(words: readonly string[]): Promise<void> {
  const program = createProgram();
  const quiet = (command: Command): void => {
    command.exitOverride().configureOutput({ writeErr: () => undefined });
    if (command.commands.length === 0) command.action(() => undefined);
    command.commands.forEach(quiet);
  };
  quiet(program);
  await program.parseAsync(words, { from: 'user' });
}

const workflow = parse(read('github-workflow.yml')) as Workflow;
const steps = workflow.jobs.cri.steps.flatMap(({ run }) => run ?? []).join('\n');
const ofWorkflow = commandsIn(steps);
const ofFiles = readdirSync(EXAMPLES)
  .filter((name) => name.endsWith('.yaml'))
  .flatMap((name) => commandsIn(read(name)));

it('the workflow runs every kind of test that there is for a runtime', () => {
  expect([...new Set(ofWorkflow.map(([cri, name]) => `${cri} ${name}`))]).toEqual(
    expect.arrayContaining(['cri diff', 'cri record', 'cri show', 'cri replay', 'cri conformance']),
  );
  expect(ofFiles).toHaveLength(3);
});

it.each([...ofWorkflow, ...ofFiles].map((words) => [words.join(' '), words]))(
  'the program accepts: dockbridge %s',
  async (_, words) => {
    await accept(words);
  },
);

it('this check of the examples refuses an unknown option and a missing required one', async () => {
  await expect(accept(['cri', 'conformance', '--endpoint', 'unix:///a', '--junti', 'x'])).rejects.toThrow(
    "unknown option '--junti'",
  );
  await expect(accept(['cri', 'conformance'])).rejects.toThrow("required option '--endpoint <URL>'");
});

it('the files that the workflow names exist, and each variable is set', () => {
  const named = [...steps.matchAll(/dockbridge\/((?:examples|test)\/[\w./-]+)/g)].map(
    ([, file = '']) => file,
  );
  expect(named.length).toBeGreaterThanOrEqual(3);
  for (const file of named) expect(readFileSync(join(ROOT, file), 'utf8')).not.toBe('');
  for (const [, name = ''] of steps.matchAll(/\$([A-Z]\w+)/g))
    expect([...Object.keys(workflow.env), 'PWD']).toContain(name);
});

it('every report of the workflow is in the directory that it uploads', () => {
  for (const words of ofWorkflow)
    for (const option of ['--junit', '-o', '--html'])
      if (words.includes(option)) expect(words[words.indexOf(option) + 1]).toMatch(/^reports\//);
});
