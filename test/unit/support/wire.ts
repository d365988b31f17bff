import { cri, type Decoded } from '../../../src/proto';

/** The names of all messages, which are classes with an encoder. */
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

/**
 * Passes a message through the encoder and the decoder, so that it has proto3's defaults and nulls as on
 * the wire.
 */
export function decoded<Name extends MessageName>(
  name: Name,
  message: Properties<Name>,
): Decoded<Properties<Name>> {
  const codec = cri[name] as unknown as Codec;
  return codec.decode(codec.encode(message).finish()) as Decoded<Properties<Name>>;
}

/** Returns a number outside an enum, as a newer client may send it. The type checker would reject the number. */
export function unknownEnum(number: number): never {
  return number as never;
}
