import { invalidArgument, type RuntimeError, unsupported } from '../../lib/errors';

/** Makes the error for a field of a plugin's answer that Docker Engine cannot carry. The container must not be created. */
export function refuse(field: string, why: string): RuntimeError {
  return unsupported(`NRI adjustment ${field}`, why);
}

/** Makes the error for a field of a plugin's answer that makes no sense. */
export function wrong(field: string, why: string): RuntimeError {
  return invalidArgument(`NRI adjustment ${field}`, why);
}

/** Converts an integer of a message. JSON cannot carry larger numbers exactly. */
export function toSafeInteger(value: { toString(): string }, field: string): number {
  const number = Number(value.toString());
  if (!Number.isSafeInteger(number)) throw wrong(field, `${value.toString()} is out of range`);
  return number;
}
