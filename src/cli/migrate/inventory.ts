import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { OPTIONS } from '../../config/options';
import { readOnly } from '../../docker/decorators';
import { DockerodeClient } from '../../docker/dockerode-client';
import { messageOf } from '../../lib/errors';
import type { NodeFacts } from '../../migrate/facts';
import type { Finding } from '../../migrate/finding';
import { gatherFacts } from '../../migrate/gather/gather';
import { finding } from '../../migrate/inventory/finding-of';
import { hasDocker, takeInventory } from '../../migrate/inventory/inventory';
import { renderHtml } from '../../migrate/inventory/render/html';
import { renderJson } from '../../migrate/inventory/render/json';
import { renderJunit } from '../../migrate/inventory/render/junit';
import { renderText } from '../../migrate/inventory/render/text';
import { inventoryReport } from '../../migrate/inventory/report';
import { DOCKBRIDGE_VERSION } from '../../release';
import { print } from '../cri/print';

export interface InventoryCommand {
  readonly root: string;
  readonly dockerEndpoint?: string | undefined;
  readonly keepDocker: boolean;
  readonly output: keyof typeof RENDERERS;
}

const RENDERERS = { text: renderText, json: renderJson, html: renderHtml, junit: renderJunit } as const;

const REQUEST_MS = 30_000;
/** The exit code when the inventory could not be taken. */
const FAILED = 1;

/**
 * Implements `dockbridge migrate inventory`: reports what stands between this node and containerd or CRI-O. Changes nothing.
 * @returns the exit code: 0 when nothing has to change, 2 for changes, 3 when something forbids the migration, 1 when the inventory
 * could not be taken.
 */
export async function inventory(options: InventoryCommand): Promise<number> {
  const { root, dockerEndpoint, keepDocker, output } = options;
  try {
    const endpoint = dockerEndpoint ?? OPTIONS.dockerEndpoint.fallback;
    await checkRoot(root);
    const docker = readOnly(
      new DockerodeClient({ endpoint, requestTimeoutMs: REQUEST_MS }),
      'an inventory changes nothing',
    );
    const facts = await gatherFacts({ root: resolve(root), docker, endpoint });
    const hasNoDocker = dockerEndpoint === undefined && !hasDocker(facts);
    const trouble = hasNoDocker ? undefined : troubleOf(facts, endpoint);
    if (trouble !== undefined) return fail(trouble);
    const findings = hasNoDocker ? [NO_DOCKER] : takeInventory(facts, { keepDocker });
    const report = inventoryReport(DOCKBRIDGE_VERSION, facts, findings);
    await print(RENDERERS[output](report));
    return report.exitCode;
  } catch (error) {
    return fail(messageOf(error));
  }
}

const NO_DOCKER: Finding = finding(
  'ok',
  'no-docker',
  'There is no Docker on this node: there is nothing to migrate.',
);

/** @throws Error when there is no such directory. */
async function checkRoot(root: string): Promise<void> {
  const info = await stat(root).catch((error: unknown) => {
    throw new Error(`--root: ${messageOf(error)}`);
  });
  if (!info.isDirectory()) throw new Error(`--root: ${root} is not a directory`);
}

/** Returns why there can be no inventory, or undefined. Without these facts, the inventory could miss findings. */
function troubleOf({ engineError, unreadable }: NodeFacts, endpoint: string): string | undefined {
  const isRoot = process.geteuid?.() === 0;
  const asRoot = isRoot ? '' : ' Run the command as root.';
  if (engineError !== undefined)
    return `the inventory needs the Engine at ${endpoint}: ${engineError}\nStart it (systemctl start docker), or name another with --docker-endpoint.${asRoot}`;
  const forbidden = unreadable.filter(({ reason }) => reason === 'EACCES' || reason === 'EPERM');
  const [first] = forbidden;
  if (isRoot || first === undefined) return undefined;
  const more = forbidden.length === 1 ? '' : ` and ${forbidden.length - 1} more`;
  return `no permission to read ${first.path}${more}.${asRoot}`;
}

function fail(message: string): number {
  process.stderr.write(`dockbridge migrate inventory: ${message}\n`);
  return FAILED;
}
