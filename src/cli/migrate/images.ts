import { columns } from '../../lib/columns';
import { cancelled, invalidArgument, messageOf } from '../../lib/errors';
import { crioNeeds } from '../../migrate/images/crio';
import type { Decision } from '../../migrate/images/decision';
import { EngineSide, type EngineKind } from '../../migrate/images/engine-side';
import type { Estimate } from '../../migrate/images/estimate';
import { bytesText, durationText, Progress } from '../../migrate/images/progress';
import {
  carryAll,
  checkSpaceFor,
  decideAll,
  decideAllForCrio,
  estimateAll,
  pulledImages,
  type Outcome,
} from '../../migrate/images/run';
import { nameOf, type ChosenImage, type Selection } from '../../migrate/images/selection';
import { carryWithSkopeo, hasSkopeo, skopeoCommand } from '../../migrate/images/skopeo';
import { checkSpace } from '../../migrate/images/space';
import { Target } from '../../migrate/images/target';
import { nextEndSignal } from '../end-process';

export interface ImagesCommand {
  readonly to: string;
  readonly dockerEndpoint: string;
  readonly used?: boolean;
  readonly onlyLocal: boolean;
  readonly all: boolean;
  readonly dryRun: boolean;
}

const HOW: Readonly<Record<Decision['how'], string>> = {
  present: 'present',
  name: 'new name',
  share: 'shared, no bytes move',
  copy: 'copied from containerd',
  save: 'copied from the Engine',
  skip: 'skipped',
};
const CRIO_HOW = { present: 'present', skopeo: 'skopeo', skip: 'skipped' } as const;
const REDRAW_MS = 200;

/**
 * `dockbridge migrate images`.
 * @returns the exit code: 0 if no image failed, 1 if an image failed or the command was interrupted, 2 if it could not begin.
 */
export async function images(options: ImagesCommand): Promise<number> {
  const target = new Target(options.to);
  try {
    const selection = selectionOf(options);
    if (!options.to.startsWith('unix://'))
      throw invalidArgument('--to', `"${options.to}" is not unix:///path/to/a.sock`);
    const engine = new EngineSide(options.dockerEndpoint);
    const kind = await engine.kind();
    const runtime = await target.kind();
    const chosen = await engine.choose(selection, async (ids) =>
      selection === 'only-local' ? pulledImages(ids, kind, target) : undefined,
    );
    say(`Engine ${kind.version} → ${runtime.runtime} ${runtime.version} at ${options.to}`);
    if (chosen.length === 0) {
      say(nothingToDo(selection));
      return 0;
    }
    if (runtime.runtime !== 'containerd')
      return await toCrio(chosen, options, engine, kind, target, runtime.version);
    if (!runtime.hasCri)
      say(
        `the containerd at ${options.to} serves no CRI, so the images cannot be verified yet: remove "cri" from disabled_plugins in its config.toml and restart it; CRI then finds the images`,
      );
    return await toContainerd(chosen, options, engine, kind, target, { selection, hasCri: runtime.hasCri });
  } catch (error) {
    say(messageOf(error));
    return 2;
  } finally {
    target.close();
  }
}

async function toContainerd(
  chosen: readonly ChosenImage[],
  options: ImagesCommand,
  engine: EngineSide,
  kind: EngineKind,
  target: Target,
  { selection, hasCri }: { readonly selection: Selection; readonly hasCri: boolean },
): Promise<number> {
  const decisions = await decideAll(chosen, engine, kind, target);
  const needed = await estimateAll(decisions, engine, kind);
  if (options.dryRun) {
    process.stdout.write(table(decisions, needed));
    return 0;
  }
  for (const path of await checkSpaceFor(decisions, needed, kind, target)) say(unseen(path));
  const display = new Display(decisions, needed, process.stdout);
  const outcomes: Outcome[] = [];
  const signal = interrupted();
  await carryAll(decisions, engine, kind, options.to, {
    ...{ selection, hasCri, signal },
    onBytes: (bytes) => display.add(bytes),
    onOutcome: (outcome) => {
      outcomes.push(outcome);
      display.finish(outcome);
    },
  });
  display.end();
  const skipped = decisions.filter(({ how }) => how === 'skip');
  for (const { image, why } of skipped) say(`${nameOf(image)} is skipped: ${why}`);
  const failed = outcomes.filter(({ error }) => error !== undefined).length;
  const carried = outcomes.length - failed;
  const moved = outcomes.reduce((sum, { bytes }) => sum + bytes, 0);
  process.stdout.write(
    `${carried} of ${chosen.length} images are on ${options.to}${hasCri ? ', and CRI answers with their ids' : ''}; ${bytesText(moved)} moved\n`,
  );
  if (signal.aborted || failed > 0)
    say('run the command again to continue: what has arrived is kept for 24 hours');
  return failed === 0 && !signal.aborted ? 0 : 1;
}

async function toCrio(
  chosen: readonly ChosenImage[],
  options: ImagesCommand,
  engine: EngineSide,
  kind: EngineKind,
  target: Target,
  runtime: string,
): Promise<number> {
  const decisions = await decideAllForCrio(chosen, kind, target);
  if (options.dryRun) {
    const rows = decisions.map(({ image, how, why }) => [
      nameOf(image),
      bytesText(image.size),
      CRIO_HOW[how],
      why,
    ]);
    process.stdout.write(columns([['IMAGE', 'SIZE', 'HOW', 'WHY'], ...rows]));
    return 0;
  }
  const storage = await target.crioStorage();
  const way = { dockerEndpoint: options.dockerEndpoint, storage };
  for (const { image, how, why } of decisions) if (how === 'skip') say(`${nameOf(image)} is skipped: ${why}`);
  const carried = decisions.filter(({ how }) => how === 'skopeo');
  if (carried.length > 0 && !(await hasSkopeo())) {
    say(`${runtime} takes images only through its storage. Install skopeo and repeat this command, or run:`);
    for (const name of carried.flatMap(({ image }) => image.tags))
      process.stdout.write(`${skopeoCommand(way, name)}\n`);
    return 2;
  }
  const needs = crioNeeds(decisions, storage, kind, await engine.layersSize());
  for (const path of await checkSpace(needs)) say(unseen(path));
  const signal = interrupted();
  let failed = 0;
  for (const decision of carried) {
    if (signal.aborted) break;
    const name = nameOf(decision.image);
    try {
      const start = performance.now();
      await carryWithSkopeo(decision, way, target, signal);
      process.stdout.write(`${name}  skopeo  ${durationText(performance.now() - start)}\n`);
      if (decision.configDigest === undefined)
        say(`${name} is there, but its id was not compared: no socket leads to the Engine's containerd`);
    } catch (error) {
      failed++;
      say(`${name}: ${messageOf(error)}`);
    }
  }
  return failed === 0 && !signal.aborted ? 0 : 1;
}

function unseen(path: string): string {
  return `the free space of ${path} cannot be read from here, so it is not checked`;
}

function selectionOf({ used, onlyLocal, all }: ImagesCommand): Selection {
  if ([used, onlyLocal, all].filter(Boolean).length > 1)
    throw invalidArgument('--used, --only-local and --all', 'exclude each other');
  if (all) return 'all';
  return onlyLocal ? 'only-local' : 'used';
}

function nothingToDo(selection: Selection): string {
  if (selection === 'used')
    return 'the Engine has no container of a pod, so there is nothing to carry (--all carries all images)';
  return selection === 'all' ? 'the Engine has no image with a name' : 'all images are from a registry';
}

/** The table of --dry-run. */
export function table(decisions: readonly Decision[], { moved }: Estimate): string {
  const rows = decisions.map(({ image, how, why }) => [nameOf(image), bytesText(image.size), HOW[how], why]);
  return `${columns([['IMAGE', 'SIZE', 'HOW', 'WHY'], ...rows])}${decisions.length} images; about ${bytesText(moved)} would move\n`;
}

/** Prints a line for each image that is done. On a terminal, a status line below is redrawn. */
class Display {
  private readonly progress: Progress;
  private readonly timer: NodeJS.Timeout | undefined;
  /** The bytes that move, divided by the sum over all images. Less than 1 if images share layers, which move only once. */
  private readonly share: number;

  constructor(
    decisions: readonly Decision[],
    { moved }: Estimate,
    private readonly out: NodeJS.WriteStream,
  ) {
    const carried = decisions.filter(({ how }) => how !== 'skip');
    const bytes = carried.reduce((sum, one) => sum + one.bytes, 0);
    this.share = bytes === 0 ? 1 : moved / bytes;
    this.progress = new Progress(carried.length, moved, performance.now());
    if (out.isTTY) this.timer = setInterval(() => this.draw(), REDRAW_MS);
  }

  add(bytes: number): void {
    this.progress.add(bytes, performance.now());
  }

  finish({ decision, bytes, ms, error }: Outcome): void {
    this.progress.finish(decision.bytes * this.share, bytes);
    this.clear();
    const name = nameOf(decision.image);
    if (error !== undefined) say(`${name}: ${error}`);
    else this.out.write(`${name}  ${HOW[decision.how]}  ${bytesText(bytes)} in ${durationText(ms)}\n`);
    if (this.timer !== undefined) this.draw();
  }

  end(): void {
    clearInterval(this.timer);
    this.clear();
  }

  private draw(): void {
    this.clear();
    this.out.write(this.progress.line(performance.now()));
  }

  private clear(): void {
    // Moves the cursor to the beginning of the line, and erases the line.
    if (this.timer !== undefined) this.out.write('\r\u001b[2K');
  }
}

/** Returns an abort signal that fires when the process is asked to end. The same signal again ends the process immediately. */
function interrupted(): AbortSignal {
  const controller = new AbortController();
  void nextEndSignal(['SIGHUP']).then((name) => {
    controller.abort(cancelled(`ended by ${name}`));
  });
  return controller.signal;
}

function say(text: string): void {
  process.stderr.write(`dockbridge migrate images: ${text}\n`);
}
