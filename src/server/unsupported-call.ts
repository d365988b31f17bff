import { RuntimeError } from '../lib/errors';

/** Answers UNIMPLEMENTED: kubelet falls back or does without, as it does with runtimes that never had the call. */
export function unsupportedCall(why: string): () => Promise<never> {
  return () => Promise.reject(new RuntimeError('UNIMPLEMENTED', why));
}
