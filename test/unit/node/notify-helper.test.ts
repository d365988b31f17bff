import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger, type Logger } from '../../../src/lib/logger';
import { SignsOfLife } from '../../../src/node/systemd';
import { NotifyHelper } from '../../../src/node/notify-helper';
import { until } from '../support/async';

let directory: string;
let program: string;
let helper: NotifyHelper;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'notify-helper-'));
  program = join(directory, 'helper');
  helper = new NotifyHelper(program, '/run/notify.sock');
});
afterEach(async () => {
  helper.end();
  await rm(directory, { recursive: true });
});

/**
 * A helper in shell. It records its pid and its input, and runs `answer` for each message, with the message in
 * `$message`.
 */
async function install(answer: string): Promise<void> {
  const script = [
    '#!/bin/sh',
    `cd ${directory}`,
    'echo $$ >>pids',
    'read -r socket',
    'while read -r message; do',
    '  echo "$socket $message" >>heard',
    `  ${answer}`,
    'done',
  ];
  await writeFile(program, `${script.join('\n')}\n`, { mode: 0o755 });
}
const lines = async (file: string): Promise<string[]> =>
  (await readFile(join(directory, file), 'utf8').catch(() => '')).split('\n').filter((line) => line !== '');

describe('NotifyHelper', () => {
  it('starts one process for all messages', async () => {
    await install('echo 0');
    for (const message of ['A=1', 'B=1', 'C=1']) await helper.send(message);
    expect(await lines('heard')).toEqual([
      '/run/notify.sock A=1',
      '/run/notify.sock B=1',
      '/run/notify.sock C=1',
    ]);
    expect(await lines('pids')).toHaveLength(1);
  });

  it('gives each of several simultaneous messages its own answer', async () => {
    await install('case $message in B=1) echo 111 ;; *) echo 0 ;; esac');
    const sent = await Promise.allSettled(['A=1', 'B=1', 'C=1'].map((message) => helper.send(message)));
    expect(sent.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  });

  it('names the error of the socket, and continues', async () => {
    await install('case $message in A=1) echo 111 ;; *) echo 0 ;; esac');
    await expect(helper.send('A=1')).rejects.toThrow('refuses the message: ECONNREFUSED');
    await helper.send('B=1');
    expect(await lines('pids')).toHaveLength(1);
  });

  it('reports that the helper ended, and starts it again for the next message', async () => {
    await install('case $message in A=1) exit 2 ;; *) echo 0 ;; esac');
    await expect(helper.send('A=1')).rejects.toThrow('the notify helper ended: exit code 2');
    await helper.send('B=1');
    expect(await lines('pids')).toHaveLength(2);
  });

  it('notices between two messages that the helper was killed', async () => {
    await install('echo 0');
    await helper.send('A=1');
    const [pid] = await lines('pids');
    process.kill(Number(pid), 'SIGKILL');
    await until(() => !existsSync(`/proc/${pid}`));
    await new Promise((resolve) => setImmediate(resolve));
    await helper.send('B=1');
    expect(await lines('pids')).toHaveLength(2);
  });

  it('kills a helper that does not answer, and starts another', async () => {
    await install('case $message in A=1) read -r never ;; *) echo 0 ;; esac');
    const impatient = new NotifyHelper(program, '/run/notify.sock', 500);
    try {
      await expect(impatient.send('A=1')).rejects.toThrow('took longer than 500 ms');
      const [pid] = await lines('pids');
      await until(() => !existsSync(`/proc/${pid}`));
    } finally {
      impatient.end();
    }
    await helper.send('B=1');
  });

  it.each([
    ['is missing', undefined, 'ENOENT'],
    ['is for another architecture', '\x7fELF nonsense', 'the notify helper ended'],
  ])('reports that the program %s', async (_what, text, errno) => {
    if (text !== undefined) await writeFile(program, text, { mode: 0o755 });
    await expect(helper.send('A=1')).rejects.toThrow(errno);
    await expect(helper.send('A=1')).rejects.toThrow(errno);
  });

  it('ends the process', async () => {
    await install('echo 0');
    await helper.send('A=1');
    const [pid] = await lines('pids');
    helper.end();
    await until(() => !existsSync(`/proc/${pid}`));
  });
});

describe('SignsOfLife', () => {
  let said: string[];
  let logger: Logger;
  let env: NodeJS.ProcessEnv;
  let signs: SignsOfLife | undefined;

  beforeEach(async () => {
    said = [];
    const say = (message: string, fields?: object): number =>
      said.push(`${message} ${JSON.stringify(fields)}`);
    logger = { ...silentLogger, info: say, warn: say };
    env = { PATH: `${directory}:/bin:/usr/bin`, NOTIFY_SOCKET: '/run/notify.sock' };
    const script = `#!/bin/sh\necho "$@" >>${directory}/executed\n`;
    await writeFile(join(directory, 'systemd-notify'), script, { mode: 0o755 });
  });
  afterEach(() => signs?.end());

  it('are sent by the helper alone', async () => {
    await install('echo 0');
    signs = new SignsOfLife(program, logger, env);
    expect([await signs.send(), await signs.send()]).toEqual([true, true]);
    expect(await lines('heard')).toEqual(['/run/notify.sock WATCHDOG=1', '/run/notify.sock WATCHDOG=1']);
    expect([await lines('executed'), said]).toEqual([[], []]);
  });

  it('are sent by systemd-notify if the helper fails, which is logged once', async () => {
    await install('echo 13');
    signs = new SignsOfLife(program, logger, env);
    expect([await signs.send(), await signs.send()]).toEqual([true, true]);
    expect(await lines('executed')).toEqual(Array(2).fill(`WATCHDOG=1 --pid=${process.pid}`));
    expect(said).toEqual([expect.stringMatching(/^The notify helper cannot be used.*EACCES/)]);
  });

  it('are not sent if both fail', async () => {
    await rm(join(directory, 'systemd-notify'));
    env.PATH = directory;
    signs = new SignsOfLife(program, logger, env);
    expect(await signs.send()).toBe(false);
    expect(said).toEqual([
      expect.stringMatching(/^The notify helper cannot be used.*ENOENT/),
      expect.stringMatching(/^Cannot notify systemd/),
    ]);
  });

  it('are not sent without systemd', async () => {
    delete env.NOTIFY_SOCKET;
    signs = new SignsOfLife(program, logger, env);
    expect(await signs.send()).toBe(true);
    expect([await lines('pids'), await lines('executed')]).toEqual([[], []]);
  });
});
