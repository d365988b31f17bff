/**
 * The only file that imports the generated codecs (`make proto`). There are two types for every message X:
 *
 * - `cri.IX` is a message that we build and encode. Every field may be missing. int64 is `number | Long`, and nanosecond
 *   timestamps must be Long. A bigint would silently become 0 on the wire, so the types do not allow it.
 * - `Decoded<cri.IX>` is a message that was received. Only fields that are messages may be null. It is assignable to `cri.IX`.
 *
 * A decoded message keeps its proto3 defaults on the prototype, so read its fields, and never spread or JSON.stringify it.
 * `import type` costs nothing at run time; any other import loads the codecs (30 ms).
 */
import type Long from 'long';
import { runtime } from './gen/cri';

export import cri = runtime.v1;

/** pbjs declares this key in every message and nowhere else. */
type MessageMark = '$unknowns';
type IsMap<T> = string extends keyof T ? true : false;
type IsMessage<T> = IsMap<T> extends true ? false : MessageMark extends keyof T ? true : false;

// The tuples make TypeScript judge `number | Long` as one type and not member by member.
type Scalar<T> = [Long] extends [T] ? Long : T;
type Element<T> = IsMessage<T> extends true ? Decoded<T> : Scalar<T>;
type Field<T> = [T] extends [readonly (infer Item)[]]
  ? Element<Item>[]
  : IsMessage<T> extends true
    ? Decoded<T> | null
    : Scalar<T>;

/**
 * A message as protobufjs decodes it. Scalars, lists and maps are always present, an absent message is null, and int64 is
 * always a Long. The type is derived from the generated `cri.IX`, in which every field has the type `?: T | null`.
 */
export type Decoded<Message> = {
  readonly [Name in Exclude<keyof Message, MessageMark>]-?: Field<NonNullable<Message[Name]>>;
};
