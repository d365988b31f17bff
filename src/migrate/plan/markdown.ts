import type { Finding, Severity } from '../finding';
import { checkLine } from './check';
import { SECRET_MODE } from './node-file';
import type { Plan } from './plan';
import type { Step } from './step';

const TITLES: readonly (readonly [Severity, string])[] = [
  ['block', 'Accepted although they forbid the migration'],
  ['change', 'What changes'],
  ['review', 'What to look at'],
];

/** Renders a plan for the person who carries it out. */
export function planMarkdown(plan: Plan): string {
  return (
    [
      `# Move ${plan.hostname} from Docker Engine to ${plan.target === 'containerd' ? 'containerd' : 'CRI-O'}`,
      `<!-- ${plan.origin} -->`,
      '**Replace the node instead, if you can.** Adding a new node with the new runtime, draining this one and deleting it is the safer way, and the usual one for a fleet. ' +
        'This plan is for a node that has to stay. Carry it out on one node at a time.',
      '`dockbridge migrate apply` does the steps of this plan and checks them; it leaves the reboot and the removal of Docker to you. `dockbridge migrate rollback` takes the steps back. ' +
        'Their `--help` explains more.',
      'To do the steps by hand: all commands run with bash as root, in the directory of this plan. Each step has a check: go on only when the check shows what it should. ' +
        'To go back, take back the steps in reverse order, from the last one that you did. Until the step "Remove Docker", nothing of Docker is deleted.',
      `The plan holds for the node as it was when the plan was made. Make a new plan when the configuration changes; plan.json has the hashes.`,
      overview(plan.steps),
      ...findingsOf(plan.findings),
      filesOf(plan),
      '## Steps',
      ...plan.steps.map(stepOf),
    ].join('\n\n') + '\n'
  );
}

function overview(steps: readonly Step[]): string {
  return ['## Overview', '', ...steps.map(({ title, id }, at) => `${at + 1}. ${title} (\`${id}\`)`)].join(
    '\n',
  );
}

function findingsOf(findings: readonly Finding[]): string[] {
  return TITLES.flatMap(([severity, title]) => {
    const found = findings.filter((finding) => finding.severity === severity);
    if (found.length === 0) return [];
    return [[`## ${title}`, '', ...found.map(findingOf)].join('\n')];
  });
}

function findingOf({ id, summary, evidence, advice }: Finding): string {
  const places = [...new Set(evidence.map(({ where }) => where))].filter((where) => where !== '');
  const shown = places.length > 5 ? [...places.slice(0, 5), `${places.length - 5} more`] : places;
  const seen = shown.length === 0 ? '' : ` Seen at ${shown.join(', ')}.`;
  return `- **${id}**: ${summary}${advice === '' ? ' The plan does this.' : ` ${advice}`}${seen}`;
}

function filesOf({ files }: Plan): string {
  const rows = files.map(
    ({ path, before, mode }) =>
      `| \`${path}\` | ${before === undefined ? 'new' : 'changed'} | ${mode === SECRET_MODE ? 'may hold a password' : ''} |`,
  );
  return ['## Files', '', '| file on the node | state | note |', '| --- | --- | --- |', ...rows].join('\n');
}

function stepOf(step: Step, at: number): string {
  const place = step.place === 'cluster' ? 'Run this wherever kubectl reaches the cluster.' : '';
  return [
    `### ${at + 1}. ${step.title}`,
    [step.why, place].filter((text) => text !== '').join(' '),
    ...block('Do:', step.commands),
    ...block('Check:', step.check.map(checkLine)),
    ...(step.undo.length === 0
      ? [step.isFinal ? 'Undo: there is no way back from here.' : 'Undo: there is nothing to take back.']
      : block('Undo:', step.undo)),
    ...block('Check the undo:', step.undoCheck.map(checkLine)),
  ].join('\n\n');
}

function block(title: string, commands: readonly string[]): string[] {
  return commands.length === 0 ? [] : [`${title}\n\n\`\`\`sh\n${commands.join('\n')}\n\`\`\``];
}
