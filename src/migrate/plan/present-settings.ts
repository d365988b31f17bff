import { isObject, type JsonObject } from '../../lib/json';
import type { Evidence, Finding } from '../finding';
import type { TargetNode } from './containerd';
import type { MainFile } from './containerd-main';
import type { PlannedFile } from './node-file';

/** How many settings a finding names. */
const MAX_SETTINGS = 50;

/** Returns what the plan has to do with settings and files of the target that are there already. */
export function presentFindings(
  main: Pick<MainFile, 'present' | 'confDir'> | undefined,
  dropIn: JsonObject,
  node: Pick<TargetNode, 'cniConfDir' | 'mainPath'>,
  files: readonly PlannedFile[],
): Finding[] {
  const evidence = [
    ...(main === undefined ? [] : conflicts(main, dropIn)),
    ...otherConfDir(main?.confDir, node.cniConfDir),
    ...replacedFiles(files.filter(({ path }) => path !== node.mainPath)),
  ];
  if (evidence.length === 0) return [];
  return [
    {
      id: 'target-settings',
      severity: 'change',
      summary: 'The new runtime has settings already, and the plan writes other values for them.',
      evidence: evidence.slice(0, MAX_SETTINGS),
      advice:
        'Decide on each value, and put it into the file of the plan before the step write-target. The step backup keeps the files that are replaced.',
      link: 'docs/migrating.md#target-settings',
    },
  ];
}

function otherConfDir(ours: MainFile['confDir'], bridges: string): Evidence[] {
  if (ours === undefined || ours.value.replace(/\/+$/, '') === bridges) return [];
  const { path, value } = ours;
  return [{ where: path, what: `conf_dir = "${value}" stays; the present runtime reads ${bridges}` }];
}

function conflicts({ present }: Pick<MainFile, 'present'>, dropIn: JsonObject): Evidence[] {
  const ours = new Map(leaves(dropIn));
  return present.flatMap(({ path, config }) =>
    leaves(config).flatMap(([key, value]) => {
      const other = ours.get(key);
      if (NOT_SETTINGS.has(key) || other === undefined || other === value) return [];
      return [{ where: path, what: `${key}: ${value} becomes ${other}` }];
    }),
  );
}

/** The version and the imports are no settings. */
const NOT_SETTINGS: ReadonlySet<string> = new Set(['version', 'imports', 'disabled_plugins']);

/** Files of which the plan knows only that the administrator wrote them. */
function replacedFiles(files: readonly PlannedFile[]): Evidence[] {
  return files
    .filter(
      ({ before, text, step }) =>
        before !== undefined && step === 'write-target' && before !== text && !before.includes(GENERATED),
    )
    .map(({ path }) => ({ where: path, what: 'is replaced as a whole' }));
}

/** A part of the first line of each file that a plan writes. */
const GENERATED = 'migrate plan from';

function leaves(value: unknown, path: readonly string[] = []): [key: string, value: string][] {
  if (!isObject(value)) return [[path.join('.'), JSON.stringify(value)]];
  return Object.entries(value).flatMap(([key, inner]) =>
    leaves(inner, [...path, key.includes('.') ? `"${key}"` : key]),
  );
}
