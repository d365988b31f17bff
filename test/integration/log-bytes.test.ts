import { readFile } from 'node:fs/promises';
import type { TestDaemon } from './support/daemon';
import {
  containerConfig,
  containerStatus,
  startedContainer,
  startPodTest,
  untilExited,
} from './support/pods';

const REPLACEMENT = '\ufffd';
/** The length at which the Engine cuts long lines. */
const PART = 16_384;

describe('the bytes of a log (docs/adr/0007)', () => {
  let test: TestDaemon;
  let pod: string;
  beforeAll(async () => {
    ({ test, pod } = await startPodTest());
  });
  afterAll(() => test.stop());

  async function linesOf(name: string, script: string): Promise<[tag: string, text: string][]> {
    const id = await startedContainer(test, pod, containerConfig(name, script));
    await untilExited(test, id);
    const content = await readFile((await containerStatus(test, id)).log_path);
    return content
      .toString('utf8')
      .split('\n')
      .slice(0, -1)
      .map((line) => {
        const [, , tag = '', ...words] = line.split(' ');
        return [tag, words.join(' ')];
      });
  }

  it('pass unchanged if they are valid UTF-8, including control characters', async () => {
    const octal = [...Buffer.from('é€😀\u2028\ufffd"\\<&>\u0001\u001b\u007f\t|')].map(
      (byte) => `\\${byte.toString(8).padStart(3, '0')}`,
    );
    expect(await linesOf('valid', `printf '${octal.join('')}\\n'`)).toEqual([
      ['F', 'é€😀\u2028\ufffd"\\<&>\u0001\u001b\u007f\t|'],
    ]);
  });

  it('are replaced one by one if they are not UTF-8, because the Engine keeps logs as JSON', async () => {
    const script = String.raw`printf 'a\377b\200\201c\303\n'; printf '\355\240\200\n'`;
    expect(await linesOf('invalid', script)).toEqual([
      ['F', `a${REPLACEMENT}b${REPLACEMENT.repeat(2)}c${REPLACEMENT}`],
      ['F', REPLACEMENT.repeat(3)],
    ]);
  });

  it('are replaced where the Engine cuts a long line in the middle of a character', async () => {
    const script = String.raw`head -c ${PART - 1} /dev/zero | tr '\0' x; printf '\342\202\254 end\n'`;
    const [first, second, ...rest] = await linesOf('split', script);
    expect(first).toEqual(['P', `${'x'.repeat(PART - 1)}${REPLACEMENT}`]);
    expect(second).toEqual(['F', `${REPLACEMENT.repeat(2)} end`]);
    expect(rest).toEqual([]);
  });
});
