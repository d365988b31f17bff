import type Long from 'long';

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
