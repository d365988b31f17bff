import { hasStatus } from '../../docker/errors';
import { messageOf, notFound } from '../../lib/errors';
import type { CheckedContainer } from '../../translate/container-check';

/** What the Engine's refusal of a create call means in terms of the request. */
export function explainCreateFailure(error: unknown, { config }: CheckedContainer): unknown {
  if (!hasStatus(error, 404)) return error;
  return notFound(
    `config.image.image: image "${config.image?.image ?? ''}" is not on this node; pull it first (${messageOf(error)})`,
  );
}
