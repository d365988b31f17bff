/**
 * The two parts of hpack.js 2.1.6 that dockbridge uses. On malformed input, all their functions throw plain Errors or
 * TypeErrors.
 */
declare module 'hpack.js' {
  export interface Decoder {
    readonly buffer: { peekUInt8(): number; readUInt8(): number };
    isEmpty(): boolean;
    push(chunk: Buffer): void;
    decodeBit(): number;
    decodeInt(): number;
    decodeStr(): ArrayLike<number>;
  }
  export interface TableEntry {
    readonly name: string;
    readonly value: string;
    readonly nameSize: number;
  }
  export interface Table {
    /** The largest size that `updateSize` accepts. */
    protocolMaxSize: number;
    lookup(index: number): TableEntry;
    add(name: string, value: string, nameSize: number, valueSize: number): void;
    updateSize(size: number): void;
  }
  export const decoder: { create(): Decoder };
  export const table: { create(options: { maxSize: number }): Table };
}
