import { compare } from '../../harness/compare/compare';
import { rulesFor } from '../../harness/compare/rules';
import { Endpoint } from '../../harness/drive/endpoint';
import { compareEffects, type EffectComparison } from '../../harness/effects/compare-effects';
import { KNOWN } from '../../harness/effects/known';
import { printable } from '../../harness/printable';
import { invalidArgument, messageOf } from '../../lib/errors';
import { renderJson, renderText } from '../../migrate/verify/render';
import { verifyReport, type VerifiedSide } from '../../migrate/verify/report';
import {
  allowedAnswers,
  answerFindings,
  handlerFindings,
  imageFindings,
  readinessFindings,
} from '../../migrate/verify/static-findings';
import { answersFor, readSide, usedImages, type StaticSide } from '../../migrate/verify/static-side';
import { isSameSocket } from '../../node/disk/socket-file';
import { DOCKBRIDGE_VERSION } from '../../release';
import { CriClient } from '../../server/client/cri-client';
import { parseEndpoint } from '../../server/listener/socket-listener';
import { effectsAt, type LookCommand } from '../cri/effects';
import { print } from '../cri/print';
import { stoppedBySignal } from '../cri/stop';

export interface VerifyCommand extends LookCommand {
  readonly a: string;
  readonly b: string;
  readonly output: keyof typeof RENDERERS;
}

const RENDERERS = { text: renderText, json: renderJson } as const;
/** The exit code when the runtimes could not be compared, or when something is left behind. */
const FAILED = 1;

/**
 * Implements `dockbridge migrate verify`: compares what two runtimes say about themselves and what they give to the same pods. Removes
 * everything that it creates, also when it is interrupted.
 * @returns the exit code: 0 when there is no unexpected difference, 2 when there is one, 1 when the runtimes could not be compared.
 */
export async function verify({ a, b, output, ...look }: VerifyCommand): Promise<number> {
  const signal = stoppedBySignal(say);
  const clients: { close: () => void }[] = [];
  const open = (address: string) => {
    const [endpoint, client] = [new Endpoint(address), new CriClient(address)];
    clients.push(endpoint, client);
    return { endpoint, client };
  };
  try {
    check(a, b);
    const [left, right] = [open(a), open(b)];
    const sideA = await naming(a, () => readSide(left.endpoint, left.client));
    const sideB = await naming(b, () => readSide(right.endpoint, right.client));
    const used = await naming(a, () => usedImages(left.client));
    const onB = await naming(b, () =>
      answersFor(
        right.client,
        used.map(({ name }) => name),
      ),
    );
    const answers = compare(
      sideA.observation,
      sideB.observation,
      rulesFor(sideA.observation.runtime, sideB.observation.runtime),
    );
    const readiness = readinessFindings(sideB);
    let effects: EffectComparison | undefined;
    let isLeft = false;
    // A runtime that is not ready refuses every pod, and the report must still say why.
    if (readiness.length === 0) {
      const ofA = await effectsAt(say, a, look, signal);
      const ofB = await effectsAt(say, b, look, signal);
      isLeft = ofA.isLeft || ofB.isLeft;
      effects = compareEffects(ofA.seen, ofB.seen, KNOWN);
    }
    const report = verifyReport(
      DOCKBRIDGE_VERSION,
      { a: named(sideA), b: named(sideB) },
      [
        ...readiness,
        ...handlerFindings(sideA, sideB),
        ...imageFindings(used, onB, b),
        ...answerFindings(answers),
      ],
      allowedAnswers(answers.calls),
      effects,
    );
    await print(RENDERERS[output](report));
    return isLeft ? FAILED : report.exitCode;
  } catch (error) {
    say(messageOf(error));
    return FAILED;
  } finally {
    for (const client of clients) client.close();
  }
}

function check(a: string, b: string): void {
  for (const [option, address] of Object.entries({ '--a': a, '--b': b })) {
    if (!address.startsWith('unix://'))
      throw invalidArgument(option, `"${address}" is not unix:///path/to/a.sock`);
    parseEndpoint(address, {}, process.pid);
  }
  if (isSameSocket(a, b)) throw invalidArgument('--b', 'is the same socket as --a');
}

/** @throws what `work` throws, with the address of the runtime. */
async function naming<T>(address: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw new Error(`${address}: ${messageOf(error)}`, { cause: error });
  }
}

function named({ observation: { source, runtime } }: StaticSide): VerifiedSide {
  return { endpoint: source, runtime: runtime.name, version: runtime.version };
}

function say(text: string): void {
  process.stderr.write(`dockbridge migrate verify: ${printable(text)}\n`);
}
