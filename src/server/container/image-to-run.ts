import { notFound } from '../../lib/errors';
import type { ImageRecord } from '../../store/records';
import { asImageId, familiarName, parseReference } from '../../translate/image/reference';
import { findImage } from '../../translate/shared/lookup';
import type { Services } from '../services';

/**
 * The image that a request names. One that we have not heard of yet is asked of the Engine.
 * @throws NOT_FOUND when the node does not have it.
 */
export async function imageToRun(
  { store, imageSync }: Pick<Services, 'store' | 'imageSync'>,
  wanted: string,
  field: string,
  signal: AbortSignal,
): Promise<ImageRecord> {
  const known = findImage(store, wanted, field);
  if (known !== undefined) return known;
  const name = asImageId(wanted) ?? familiarName(parseReference(wanted, field));
  const image = await imageSync.refresh(name, signal);
  if (image === undefined) throw notFound(`${field}: image "${wanted}" is not on this node; pull it first`);
  return image;
}
