import { createProgram } from '../../../src/cli/program';

/** Returns the first line with which the command line refuses these words. */
async function refused(...words: string[]): Promise<string> {
  const said: string[] = [];
  const program = createProgram();
  for (const command of [program, ...program.commands])
    command.exitOverride().configureOutput({ writeErr: (text) => said.push(text) });
  await expect(program.parseAsync(words, { from: 'user' })).rejects.toMatchObject({ exitCode: 1 });
  return said.join('').split('\n')[0] ?? '';
}

describe('a wrong command line', () => {
  it.each([
    [['doctr'], 'error: there is no command "doctr"; did you mean doctor?'],
    [['--log-level', 'debug', 'stauts'], 'error: there is no command "stauts"; did you mean status?'],
    [['handover', '--help-me-not'], `error: unknown option '--help-me-not'`],
    [['handover'], 'error: there is no command "handover"; did you mean hand-over?'],
    [['banana'], 'error: there is no command "banana"'],
    [['serve', 'doctr'], 'error: serve takes only options, but got "doctr"'],
  ])('%j is answered with %s', async (words, answer) => expect(await refused(...words)).toBe(answer));
});
