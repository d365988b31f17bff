import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { judgeCrictl, readCrictl, type CrictlFacts } from '../../../src/doctor/checks/crictl';

const OURS = 'unix:///var/run/cri-dockerd.sock';
const OTHER = '/run/containerd/containerd.sock';

describe('the configuration of crictl', () => {
  it.each<[string, Partial<CrictlFacts>, string, RegExp]>([
    ['dockbridge', { text: `runtime-endpoint: ${OURS}\n` }, 'ok', /^crictl asks unix:.*where dockbridge/],
    [
      'dockbridge by another path',
      { text: 'runtime-endpoint: /run/cri-dockerd.sock' },
      'ok',
      /where dockbridge/,
    ],
    [
      'dockbridge, because there is no other runtime',
      { text: undefined, others: [] },
      'ok',
      /no other runtime/,
    ],
    [
      'containerd without a file',
      { text: undefined },
      'warn',
      /there is no \/c.yaml, and \S+containerd.sock/,
    ],
    ['containerd with an empty file', { text: '' }, 'warn', /\/c.yaml names no runtime-endpoint/],
    [
      'containerd by its file',
      { text: `runtime-endpoint: unix://${OTHER}` },
      'warn',
      /asks unix:\S+containerd/,
    ],
    [
      'containerd for images',
      { text: `runtime-endpoint: ${OURS}\nimage-endpoint: unix://${OTHER}` },
      'warn',
      /asks unix:\S+containerd/,
    ],
    [
      'nothing, because its endpoint is not text',
      { text: 'runtime-endpoint: [1]' },
      'warn',
      /cannot read \/c.yaml: "runtime-endpoint" is not text/,
    ],
    ['nothing, because it is a list', { text: '- a' }, 'warn', /cannot read \/c.yaml: it is not a map/],
    [
      'an unknown runtime, because systemd made the socket of dockbridge',
      { text: undefined, endpoint: 'fd://' },
      'ok',
      /^not compared/,
    ],
  ])('leads to %s', (_what, more, level, found) => {
    const finding = judgeCrictl({ path: '/c.yaml', text: '', others: [OTHER], endpoint: OURS, ...more });
    expect([finding.level, finding.found]).toEqual([level, expect.stringMatching(found)]);
    if (level === 'warn') expect(finding.cure).toContain(`runtime-endpoint: ${OURS}\n`);
  });

  it('is read from its file and from the existing sockets', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'doctor-'));
    const place = (name: string): string => join(directory, name);
    const server = createServer().listen(place('there.sock'));
    try {
      await once(server, 'listening');
      await writeFile(place('file'), 'x');
      const sockets = [place('none.sock'), place('file'), place('there.sock')];
      expect(await readCrictl(OURS, place('none.yaml'), sockets)).toMatchObject({
        text: undefined,
        others: [place('there.sock')],
      });
      expect(await readCrictl(OURS, place('file'), [])).toMatchObject({ text: 'x', others: [] });
    } finally {
      server.close();
      await rm(directory, { recursive: true });
    }
  });
});
