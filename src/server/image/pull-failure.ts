import type { DockerClient } from '../../docker/client';
import { EngineError } from '../../docker/errors';
import { sharedAbortController, withDeadline } from '../../lib/async/deadline';
import { messageOf, RuntimeError, type ErrorCode } from '../../lib/errors';
import type { EngineAuth, EngineManifest } from '../../engine/types';
import { familiarName, registryOf, type ImageReference } from '../../translate/image/reference';
import { anonymousStatus } from '../../registry/auth';

/** Limit of all requests together. It is short, because kubelet's other pulls wait for these requests. */
const PATIENCE_MS = 1_000;
/** Statuses that come from the registry and not from a failure on the way to it. */
const TELLING = new Set([401, 403, 404, 429]);

export interface FailedPull {
  readonly reference: ImageReference;
  readonly auth: EngineAuth | undefined;
  /** The Engine's platform, such as `linux/amd64`. */
  readonly platform: string | undefined;
}

/** What the registry has, or the error of the request. */
type Answer = EngineManifest | EngineError;
type Ask = (name: string) => Promise<Answer>;

/**
 * Finds the cause of a failed pull: name, tag, platform, credentials, rights or network (ADR 0014). The cause is decided
 * by three HTTP statuses: that of the Engine's request for the manifest, that of the pull, and that of the registry's own
 * answer. Three are needed, because each of them may be 500 for any failure. The texts of errors differ between Engines and
 * registries, so they are only passed on and never decide.
 */
export async function explainPullFailure(
  docker: DockerClient,
  pull: FailedPull,
  failure: unknown,
  signal: AbortSignal,
  patienceMs = PATIENCE_MS,
): Promise<Error> {
  // The pull was cancelled, made no progress or did not reach the Engine. The error already says so.
  if (!(failure instanceof EngineError)) return failure as Error;
  return withDeadline("The registry's answer", patienceMs, signal, async (limit) => {
    const done = sharedAbortController();
    const { host } = registryOf(pull.reference);
    // The registry is asked in parallel with the other requests, which halves the time.
    const registryStatus = TELLING.has(failure.statusCode)
      ? Promise.resolve(undefined)
      : anonymousStatus(host, done.signal);
    const onLimit = (): void => done.abort();
    limit.addEventListener('abort', onLimit, { once: true });
    try {
      return await explain(docker, pull, failure, { limit, registryStatus, signal });
    } finally {
      limit.removeEventListener('abort', onLimit);
      done.abort();
    }
  });
}

interface Questions {
  /** Ends all requests. */
  readonly limit: AbortSignal;
  /** The status of the registry's own answer; undefined when there is no answer. */
  readonly registryStatus: Promise<number | undefined>;
  /** The caller's signal. */
  readonly signal: AbortSignal;
}

async function explain(
  docker: DockerClient,
  { reference, auth, platform }: FailedPull,
  failure: EngineError,
  { limit, registryStatus, signal }: Questions,
): Promise<EngineError> {
  const ask: Ask = (wanted) => askForManifest(docker, wanted, auth, limit, signal);
  const name = familiarName(reference);
  const { host } = registryOf(reference);
  const because = (code: ErrorCode, why: string, statusCode = failure.statusCode): EngineError =>
    new EngineError(code, statusCode, `${name}: ${why} (${failure.message})`, { cause: failure });

  const answer = await ask(name);
  if (!(answer instanceof EngineError)) return because(...presentButUnpullable(host, answer, platform));
  // The manifest's status is preferred because it is more exact: for a denied pull it is 403, while the pull itself
  // reports 404.
  const told = [answer.statusCode, failure.statusCode].find((status) => TELLING.has(status));
  if (told === 404) return because('NOT_FOUND', await whatIsMissing(reference, ask), told);
  const known = told ?? (await registryStatus);
  signal.throwIfAborted();
  // A registry that requires credentials answers 401 to any anonymous request. Unless the Engine also got an answer in
  // time, 401 says nothing about the credentials of the pull.
  const status = told === undefined && known === 401 && limit.aborted ? undefined : known;
  switch (status) {
    case 401:
      return because('UNAUTHENTICATED', wantsCredentials(host, auth), status);
    case 403:
      return because('PERMISSION_DENIED', `registry ${host} denies access to the image`, status);
    case 429:
      return because('RESOURCE_EXHAUSTED', `registry ${host} refuses more pulls for now`, status);
    case undefined:
      return because(
        'UNAVAILABLE',
        limit.aborted ? `registry ${host} does not answer in time` : `registry ${host} cannot be reached`,
      );
    default:
      return because('UNAVAILABLE', `registry ${host} does not answer correctly`);
  }
}

function wantsCredentials(host: string, auth: EngineAuth | undefined): string {
  return auth === undefined
    ? `registry ${host} requires credentials, but none were given`
    : `registry ${host} refuses the credentials`;
}

function presentButUnpullable(
  host: string,
  manifest: EngineManifest,
  platform: string | undefined,
): [ErrorCode, string] {
  return platform === undefined || isFor(manifest, platform)
    ? ['UNKNOWN', `registry ${host} has the image, but it cannot be pulled`]
    : ['NOT_FOUND', `the image has no variant for this node's platform, ${platform}`];
}

/** Whether a manifest supports a platform. True also if the registry does not report platforms. */
function isFor({ Platforms }: EngineManifest, platform: string): boolean {
  const told = (Platforms ?? []).filter(({ architecture = '' }) => architecture !== '');
  return told.length === 0 || told.some(({ os, architecture }) => `${os}/${architecture}` === platform);
}

/**
 * Describes what is missing. Registries give the same answer for an unknown name and an unknown tag, so a request for
 * another tag may show the difference.
 */
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
