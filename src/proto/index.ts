/**
 * The only door to the generated codecs (`make proto`). Two types for every message X:
 *
 * - `cri.IX`: what we build and encode; every field may be missing. int64 is `number | Long`: Long for nanosecond
 *   timestamps. A bigint would silently become 0 on the wire; the types forbid it.
 * - `Decoded<cri.IX>`: what came off the wire; only message fields may be null. It is assignable to `cri.IX`.
 *
 * A decoded message keeps its proto3 defaults on the prototype: read its fields, never spread or JSON.stringify it.
 * `import type` costs nothing at run time; a plain import loads the codecs (30 ms).
 */
import type Long from 'long';
import { runtime } from './gen/cri';

export import cri = runtime.v1;

/** pbjs declares this key in every message and nowhere else. */
type MessageMark = '$unknowns';
type IsMap<T> = string extends keyof T ? true : false;
type IsMessage<T> = IsMap<T> extends true ? false : MessageMark extends keyof T ? true : false;

// Wrapped in tuples so that `number | Long` is judged as one type, not member by member.
type Scalar<T> = [Long] extends [T] ? Long : T;
type Element<T> = IsMessage<T> extends true ? Decoded<T> : Scalar<T>;
type Field<T> = [T] extends [readonly (infer Item)[]]
  ? Element<Item>[]
  : IsMessage<T> extends true
    ? Decoded<T> | null
    : Scalar<T>;

/**
 * A message as protobufjs decodes it: scalars, lists and maps are always there, an absent message is null, int64 is
 * always a Long. Derived from the generated `cri.IX`, which says `?: T | null` of everything.
 */
export type Decoded<Message> = {
  readonly [Name in Exclude<keyof Message, MessageMark>]-?: Field<NonNullable<Message[Name]>>;
};
