import { cri, type Decoded } from '../../../src/proto';

/** The names of all messages: classes with an encoder. */
type MessageName = {
  [Name in keyof typeof cri]: (typeof cri)[Name] extends { encode: (...args: never[]) => unknown }
    ? Name
    : never;
}[keyof typeof cri];

type Properties<Name extends MessageName> = Parameters<(typeof cri)[Name]['encode']>[0];

interface Codec {
  encode(message: unknown): { finish(): Uint8Array };
  decode(bytes: Uint8Array): unknown;
}

/** A message as it comes off the wire: through the encoder and the decoder, so with proto3's defaults and nulls. */
export function decoded<Name extends MessageName>(
  name: Name,
  message: Properties<Name>,
): Decoded<Properties<Name>> {
  const codec = cri[name] as unknown as Codec;
  return codec.decode(codec.encode(message).finish()) as Decoded<Properties<Name>>;
}

/** A number that is none of an enum's, as a newer client may send it: the types would not let it through. */
export function unknownEnum(number: number): never {
  return number as never;
}
