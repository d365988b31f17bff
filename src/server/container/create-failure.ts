import { EngineError, hasStatus } from '../../docker/errors';
import { notFound } from '../../lib/errors';
import type { MountRecord } from '../../store/records';
import type { CheckedContainer } from '../../translate/container/container-check';
import {
  fieldOfRefusal,
  fieldOfSandboxRefusal,
  isRuntimeRefusal,
  missingOf,
} from '../../translate/container/engine-refusals';

/**
 * Explains the Engine's refusal of a create call in terms of the request. A 404 may concern the container's image, the
 * image of an image mount, or the container whose namespace the new container joins.
 */
export function explainCreateFailure(
  error: unknown,
  { config, namespaces, mounts }: Pick<CheckedContainer, 'config' | 'namespaces' | 'mounts'>,
): unknown {
  if (!(error instanceof EngineError)) return error;
  const text = error.message;
  if (isRuntimeRefusal(text)) return ledBy('pod_sandbox_id', error);
  if (!hasStatus(error, 404)) return withField(error, 'config.linux.resources', 'config.');
  const missing = missingOf(text);
  if (missing === undefined) return error;
  if (missing === 'image')
    return notFound(
      `${imageField(text, config.image?.image ?? '', mounts)} is not on this node; pull it first (${text})`,
    );
  const { targetId } = namespaces;
  const isTarget = targetId !== '' && text.includes(targetId);
  const field = 'config.linux.security_context.namespace_options.target_id';
  return ledBy(isTarget ? field : 'pod_sandbox_id', error);
}

/** Names the missing image and its field in the request. It is the container's own image or the image of an image mount. */
function imageField(text: string, own: string, mounts: readonly MountRecord[]): string {
  const index = mounts.findIndex(
    ({ image }) => image !== undefined && image.id !== '' && text.includes(image.id),
  );
  const mounted = mounts[index]?.image;
  return mounted === undefined
    ? `config.image.image: image "${own}"`
    : `config.mounts[${index}].image.image: image "${mounted.image}"`;
}

/** Puts the field of the RunPodSandbox request in front of the Engine's error, if the error's text reveals the field. */
export function explainSandboxRefusal(error: unknown): unknown {
  // The texts of 404 and 409 contain names, and a pod may be named "label", so these texts are not searched for a field.
  if (!(error instanceof EngineError) || hasStatus(error, 404) || hasStatus(error, 409)) return error;
  const field = fieldOfSandboxRefusal(error.message);
  return field === undefined ? error : ledBy(field, error);
}

/**
 * Puts the field of the request in front of the Engine's error, if the error's text reveals the field.
 * @param resources the path of the resources in the request.
 * @param others the prefix of all other fields.
 */
export function withField(error: unknown, resources: string, others: string): unknown {
  if (!(error instanceof EngineError)) return error;
  const field = fieldOfRefusal(error.message, resources, others);
  return field === undefined ? error : ledBy(field, error);
}

function ledBy(field: string, error: EngineError): EngineError {
  return new EngineError(error.code, error.statusCode, `${field}: ${error.message}`, { cause: error });
}
