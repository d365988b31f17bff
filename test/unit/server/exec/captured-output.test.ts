import { CapturedOutput, OutputBudget } from '../../../../src/server/exec/captured-output';
import { engineFrame } from '../../support/engine-frame';

function capture(...chunks: Buffer[]): CapturedOutput {
  const output = new CapturedOutput(new OutputBudget());
  for (const chunk of chunks) output.write(chunk);
  return output;
}

describe('CapturedOutput', () => {
  it('keeps the streams separate and in order', () => {
    const output = capture(
      engineFrame(1, 'a'),
      engineFrame(2, 'x'),
      engineFrame(1, 'b'),
      engineFrame(2, 'y'),
    );
    const { stdout, stderr } = output.finish();
    expect([stdout.toString(), stderr.toString()]).toEqual(['ab', 'xy']);
  });

  it('is empty without output', () => {
    const { stdout, stderr } = capture().finish();
    expect([stdout.length, stderr.length]).toEqual([0, 0]);
  });

  it('is complete however the chunks are split', () => {
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
      const { stdout, stderr } = output.finish();
      expect(stdout).toEqual(Buffer.concat([Buffer.from('hello'), Buffer.from([0, 255])]));
      expect(stderr.toString()).toBe('wörld');
    }
  });

  it('silently drops output that does not fit into a CRI message', () => {
    const mebibyte = Buffer.alloc(1 << 20, 'x');
    const output = new CapturedOutput(new OutputBudget());
    for (let index = 0; index < 20; index++) {
      output.write(engineFrame(1, mebibyte));
      output.write(engineFrame(2, mebibyte));
    }
    const { stdout, stderr } = output.finish();
    const total = stdout.length + stderr.length;
    expect(total).toBeGreaterThan(16 * (1 << 20) - 4096);
    expect(total).toBeLessThan(16 * (1 << 20));
    expect(Math.abs(stdout.length - stderr.length)).toBeLessThanOrEqual(1 << 20);
  });

  it('has 64 KiB of its own, and beyond that shares one budget with all others', () => {
    const kibibyte = Buffer.alloc(1024, 'x');
    const budget = new OutputBudget(512 * 1024);
    const [greedy, late] = [new CapturedOutput(budget), new CapturedOutput(budget)];
    for (let index = 0; index < 2048; index++) greedy.write(engineFrame(1, kibibyte));
    expect(() => greedy.finish()).toThrow(/too much memory/);
    for (let index = 0; index < 20; index++) late.write(engineFrame(2, kibibyte));
    expect(late.finish().stderr).toHaveLength(20 * 1024);
    greedy.release();
    const next = new CapturedOutput(budget);
    for (let index = 0; index < 300; index++) next.write(engineFrame(1, kibibyte));
    expect(next.finish().stdout).toHaveLength(300 * 1024);
  });

  it('says whether it ends inside a frame', () => {
    const frame = engineFrame(1, 'hello');
    expect(capture(frame).isWhole).toBe(true);
    expect(capture(frame, frame.subarray(0, 3)).isWhole).toBe(false);
    expect(capture(frame.subarray(0, 9)).isWhole).toBe(false);
  });
});
