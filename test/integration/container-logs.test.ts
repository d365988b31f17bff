import { readFile, stat } from 'node:fs/promises';
import { touchIn } from './support/cgroups';
import type { TestDaemon } from './support/daemon';
import {
  containerConfig,
  containerStatus,
  createContainer,
  FOREVER,
  output,
  podConfig,
  readLogText,
  runPod,
  startedContainer,
  startPodTest,
  untilExited,
} from './support/pods';

const LINE = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{1,9}(?:Z|[+-]\d\d:\d\d) (stdout|stderr) ([FP]) (.*)$/;

describe('the log of a container', () => {
  let test: TestDaemon;
  let pod: string;
  beforeAll(async () => {
    ({ test, pod } = await startPodTest());
  });
  afterAll(() => test.stop());

  const pathOf = async (id: string): Promise<string> => (await containerStatus(test, id)).log_path;
  const parsed = async (id: string): Promise<{ stream: string; tag: string; text: string }[]> => {
    const content = await readFile(await pathOf(id), 'utf8');
    expect(content.endsWith('\n')).toBe(true);
    return content
      .split('\n')
      .slice(0, -1)
      .map((line) => {
        const [, stream = '', tag = '', text = ''] = LINE.exec(line) ?? [];
        if (stream === '') throw new Error(`not a line of a CRI log: ${line.slice(0, 100)}`);
        return { stream, tag, text };
      });
  };

  it('is at log_directory/log_path as soon as StartContainer returns, and not before', async () => {
    const config = podConfig(test);
    const own = await runPod(test, config);
    const id = await createContainer(
      test,
      own,
      containerConfig('quiet', FOREVER, { log_path: 'quiet/0.log' }),
    );
    const path = `${config.log_directory ?? ''}/quiet/0.log`;
    expect(await pathOf(id)).toBe(path);
    await expect(stat(path)).rejects.toMatchObject({ code: 'ENOENT' });
    await test.client.call('StartContainer', { container_id: id });
    expect((await stat(path)).isFile()).toBe(true);
  });

  it('contains both streams in CRI format', async () => {
    const id = await startedContainer(
      test,
      pod,
      containerConfig('both', 'echo out; echo err >&2; echo; printf end'),
    );
    await untilExited(test, id);
    const lines = await parsed(id);
    expect(lines.filter(({ stream }) => stream === 'stderr')).toEqual([
      { stream: 'stderr', tag: 'F', text: 'err' },
    ]);
    expect(lines.filter(({ stream }) => stream === 'stdout').map(({ text }) => text)).toEqual([
      'out',
      '',
      'end',
    ]);
  });

  it('is complete as soon as the status is EXITED, for each of ten containers', async () => {
    const ids = await Promise.all(
      Array.from({ length: 10 }, (_, at) =>
        startedContainer(test, pod, containerConfig(`burst-${at}`, `seq 1 4000; echo last-${at}`)),
      ),
    );
    for (const [at, id] of ids.entries()) {
      await untilExited(test, id);
      const lines = (await readLogText(await pathOf(id))).split('\n');
      expect(lines).toHaveLength(4002);
      expect(lines[3999]).toBe('4000');
      expect(lines[4000]).toBe(`last-${at}`);
    }
  });

  it('has a long line in pieces, all but the last marked P, which join to the whole line', async () => {
    const id = await startedContainer(
      test,
      pod,
      containerConfig('long', 'head -c 40960 /dev/zero | tr "\\0" x; echo; echo short'),
    );
    await untilExited(test, id);
    const lines = await parsed(id);
    expect(lines.length).toBeGreaterThan(3);
    expect(lines.map(({ tag }) => tag)).toEqual([...Array<string>(lines.length - 2).fill('P'), 'F', 'F']);
    expect(lines.map(({ text, tag }) => text + (tag === 'F' ? '\n' : '')).join('')).toBe(
      `${'x'.repeat(40960)}\nshort\n`,
    );
  });

  it('neither loses nor repeats a line when the daemon restarts', async () => {
    const script = 'i=0; until [ -e /stop ]; do i=$((i+1)); echo $i; done; echo end';
    const id = await startedContainer(test, pod, containerConfig('restart', script));
    await output(test, id, 'sleep 0.3');
    await test.restart();
    await output(test, id, 'sleep 0.3');
    await touchIn(id, '/stop');
    await untilExited(test, id);
    const lines = (await readLogText(await pathOf(id))).split('\n').slice(0, -1);
    expect(lines.at(-1)).toBe('end');
    expect(lines.length).toBeGreaterThan(100);
    const wrong = lines.slice(0, -1).findIndex((line, at) => line !== String(at + 1));
    expect(wrong).toBe(-1);
  });

  it('stays when its container is removed, because kubelet deletes logs', async () => {
    const id = await startedContainer(test, pod, containerConfig('removed', 'echo kept'));
    await untilExited(test, id);
    const path = await pathOf(id);
    await test.client.call('RemoveContainer', { container_id: id });
    expect(await readLogText(path)).toBe('kept\n');
  });
});
