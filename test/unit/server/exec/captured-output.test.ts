import { CapturedOutput } from '../../../../src/server/exec/captured-output';
import { engineFrame } from '../../support/engine-frame';

function capture(...chunks: Buffer[]): CapturedOutput {
  const output = new CapturedOutput();
  for (const chunk of chunks) output.write(chunk);
  return output;
}

describe('CapturedOutput', () => {
  it('keeps the streams apart and in order', () => {
    const output = capture(
      engineFrame(1, 'a'),
      engineFrame(2, 'x'),
      engineFrame(1, 'b'),
      engineFrame(2, 'y'),
    );
    expect([output.stdout.toString(), output.stderr.toString()]).toEqual(['ab', 'xy']);
  });

  it('is empty without output', () => {
    expect([capture().stdout.length, capture().stderr.length]).toEqual([0, 0]);
  });

  it('is whole however the chunks are cut', () => {
    const whole = Buffer.concat([
      engineFrame(1, 'hello'),
      engineFrame(2, ''),
      engineFrame(2, 'wörld'),
      engineFrame(1, Buffer.from([0, 255])),
    ]);
    for (let size = 1; size <= whole.length; size++) {
      const chunks = Array.from({ length: Math.ceil(whole.length / size) }, (_, index) =>
        whole.subarray(index * size, (index + 1) * size),
      );
      const output = capture(...chunks);
      expect(output.stdout).toEqual(Buffer.concat([Buffer.from('hello'), Buffer.from([0, 255])]));
      expect(output.stderr.toString()).toBe('wörld');
    }
  });

  it('drops silently what no CRI message could carry', () => {
    const mebibyte = Buffer.alloc(1 << 20, 'x');
    const output = new CapturedOutput();
    for (let index = 0; index < 20; index++) {
      output.write(engineFrame(1, mebibyte));
      output.write(engineFrame(2, mebibyte));
    }
    const total = output.stdout.length + output.stderr.length;
    expect(total).toBeGreaterThan(16 * (1 << 20) - 4096);
    expect(total).toBeLessThan(16 * (1 << 20));
    expect(Math.abs(output.stdout.length - output.stderr.length)).toBeLessThanOrEqual(1 << 20);
  });
});
