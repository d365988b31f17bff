import { EngineError, hasStatus } from '../../docker/errors';
import { messageOf, notFound } from '../../lib/errors';
import type { CheckedContainer } from '../../translate/container-check';
import { fieldOfRefusal } from '../../translate/engine-refusals';

/** What the Engine's refusal of a create call means in terms of the request. */
export function explainCreateFailure(error: unknown, { config }: CheckedContainer): unknown {
  if (!hasStatus(error, 404)) return withField(error, 'config.linux.resources', 'config.');
  return notFound(
    `config.image.image: image "${config.image?.image ?? ''}" is not on this node; pull it first (${messageOf(error)})`,
  );
}

/**
 * The Engine's own error, led by the field of the request that it is about, where its words tell.
 * @param resources the path of the resources in the request.
 * @param others what stands before the other fields.
 */
export function withField(error: unknown, resources: string, others: string): unknown {
  if (!(error instanceof EngineError)) return error;
  const field = fieldOfRefusal(error.message, resources, others);
  if (field === undefined) return error;
  return new EngineError(error.code, error.statusCode, `${field}: ${error.message}`, { cause: error });
}
