import type { DockerClient } from '../../docker/client';
import { EngineError } from '../../docker/errors';
import { sharedAbortController, withDeadline } from '../../lib/async/deadline';
import { messageOf, RuntimeError, type ErrorCode } from '../../lib/errors';
import type { EngineAuth, EngineManifest } from '../../engine/types';
import { familiarName, registryOf, type ImageReference } from '../../translate/image/reference';
import { knockAtRegistry } from '../../registry/knock';

/** For all questions together: kubelet's other pulls wait for their end, and a better text must cost next to nothing. */
const PATIENCE_MS = 1_000;
/** What a registry said, rather than what befell the Engine on its way there. */
const TELLING = new Set([401, 403, 404, 429]);

export interface FailedPull {
  readonly reference: ImageReference;
  readonly auth: EngineAuth | undefined;
  /** The Engine's, such as `linux/amd64`. */
  readonly platform: string | undefined;
}

/** What the registry has, or the error of asking. */
type Answer = EngineManifest | EngineError;
type Ask = (name: string) => Promise<Answer>;

/**
 * What was at fault in a failed pull: name, tag, platform, credentials, rights or network (ADR 0014). It is told by HTTP
 * status: of the Engine's look at the manifest, of the pull, of the registry itself, as each of them may have only a 500
 * for everything. Never by the text, which differs by Engine and registry and is only passed on.
 */
export async function explainPullFailure(
  docker: DockerClient,
  pull: FailedPull,
  failure: unknown,
  signal: AbortSignal,
  patienceMs = PATIENCE_MS,
): Promise<Error> {
  // Cancelled, stalled, or no Engine: that is explained already.
  if (!(failure instanceof EngineError)) return failure as Error;
  return withDeadline("The registry's answer", patienceMs, signal, async (limit) => {
    const done = sharedAbortController();
    const { host } = registryOf(pull.reference);
    // At the same time as the other questions: one after the other would take as long again.
    const knocking = TELLING.has(failure.statusCode)
      ? Promise.resolve(undefined)
      : knockAtRegistry(host, done.signal);
    const onLimit = (): void => done.abort();
    limit.addEventListener('abort', onLimit, { once: true });
    try {
      return await explain(docker, pull, failure, { limit, knocking, signal });
    } finally {
      limit.removeEventListener('abort', onLimit);
      done.abort();
    }
  });
}

interface Questions {
  /** Ends all of them. */
  readonly limit: AbortSignal;
  /** The status of the registry's own answer; undefined when there is none. */
  readonly knocking: Promise<number | undefined>;
  /** The caller's. */
  readonly signal: AbortSignal;
}

async function explain(
  docker: DockerClient,
  { reference, auth, platform }: FailedPull,
  failure: EngineError,
  { limit, knocking, signal }: Questions,
): Promise<EngineError> {
  const ask: Ask = (wanted) => askForManifest(docker, wanted, auth, limit, signal);
  const name = familiarName(reference);
  const { host } = registryOf(reference);
  const because = (code: ErrorCode, why: string, statusCode = failure.statusCode): EngineError =>
    new EngineError(code, statusCode, `${name}: ${why} (${failure.message})`, { cause: failure });

  const answer = await ask(name);
  if (!(answer instanceof EngineError)) return because(...presentButUnpullable(host, answer, platform));
  // The manifest's is the more exact one: a denied pull is 404 in the Engine's pull, 403 there.
  const told = [answer.statusCode, failure.statusCode].find((status) => TELLING.has(status));
  if (told === 404) return because('NOT_FOUND', await whatIsMissing(reference, ask), told);
  const knocked = told ?? (await knocking);
  signal.throwIfAborted();
  // It asks strangers for credentials in any case: that says nothing of ours when the Engine was not answered in time.
  const status = told === undefined && knocked === 401 && limit.aborted ? undefined : knocked;
  switch (status) {
    case 401:
      return because('UNAUTHENTICATED', wantsCredentials(host, auth), status);
    case 403:
      return because('PERMISSION_DENIED', `registry ${host} denies access to it`, status);
    case 429:
      return because('RESOURCE_EXHAUSTED', `registry ${host} refuses more pulls for now`, status);
    case undefined:
      return because(
        'UNAVAILABLE',
        limit.aborted ? `registry ${host} does not answer in time` : `registry ${host} cannot be reached`,
      );
    default:
      return because('UNAVAILABLE', `registry ${host} does not answer as it should`);
  }
}

function wantsCredentials(host: string, auth: EngineAuth | undefined): string {
  return auth === undefined
    ? `registry ${host} wants credentials and none were given`
    : `registry ${host} refuses the credentials`;
}

function presentButUnpullable(
  host: string,
  manifest: EngineManifest,
  platform: string | undefined,
): [ErrorCode, string] {
  return platform === undefined || isFor(manifest, platform)
    ? ['UNKNOWN', `registry ${host} has it, but it cannot be pulled`]
    : ['NOT_FOUND', `it has nothing for this node's platform, ${platform}`];
}

/** True also where the registry says nothing of platforms. */
function isFor({ Platforms }: EngineManifest, platform: string): boolean {
  const told = (Platforms ?? []).filter(({ architecture = '' }) => architecture !== '');
  return told.length === 0 || told.some(({ os, architecture }) => `${os}/${architecture}` === platform);
}

/** Registries have one answer for an unknown name and an unknown tag: another tag tells them apart where it exists. */
async function whatIsMissing(
  { repository, tag = 'latest', digest }: ImageReference,
  ask: Ask,
): Promise<string> {
  const wanted = digest === undefined ? `tag ${tag}` : `digest ${digest}`;
  const nothing = `the registry has no repository ${repository}, or no ${wanted} in it`;
  if (digest === undefined && tag === 'latest') return nothing;
  const latest = familiarName({ repository, tag: 'latest', digest: undefined });
  return (await ask(latest)) instanceof EngineError ? nothing : `repository ${repository} has no ${wanted}`;
}

async function askForManifest(
  docker: DockerClient,
  name: string,
  auth: EngineAuth | undefined,
  limit: AbortSignal,
  signal: AbortSignal,
): Promise<Answer> {
  try {
    return await docker.inspectManifest(name, auth, { signal: limit });
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof EngineError) return error;
    if (error instanceof RuntimeError && error.code !== 'DEADLINE_EXCEEDED') throw error;
    return new EngineError('UNAVAILABLE', 504, messageOf(error), { cause: error });
  }
}
