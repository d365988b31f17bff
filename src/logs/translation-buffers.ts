import { HEADER_BYTES } from './cri-line';
import { RecordTranslator, type Translation } from './translate-records';

/** Docker's longest record is some 100 KiB: 16 KiB of control characters, six bytes each. */
const INPUT_BYTES = 256 * 1024;

/** The one pair of buffers that all followers of a thread share: memory does not grow with containers or rates. */
export class TranslationBuffers {
  readonly input: Buffer;
  readonly output: Buffer;
  private readonly translator: RecordTranslator;

  constructor(inputBytes = INPUT_BYTES) {
    this.input = Buffer.alloc(inputBytes);
    this.output = Buffer.alloc(inputBytes + HEADER_BYTES);
    this.translator = new RecordTranslator(this.input, this.output);
  }

  /** Translates the first `length` bytes of `input` into `output`. */
  translate(length: number): Translation {
    return this.translator.run(length);
  }
}
