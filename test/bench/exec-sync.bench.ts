import { request } from 'node:http';
import { TestDaemon } from '../integration/support/daemon';
import { engineCall, sharedDockerHost } from '../integration/support/engine';
import { containerConfig, FOREVER, runPod, startedContainer } from '../integration/support/pods';
import { median, print, timed } from './measure';

const ROUNDS = 100;

/** The two sides run in turns, so that other load on the machine affects both alike. */
it('ExecSync is compared with the bare Engine API', async () => {
  const test = await TestDaemon.start();
  try {
    const container_id = await startedContainer(test, await runPod(test), containerConfig('main', FOREVER));
    const ours = (): Promise<unknown> =>
      test.client.call('ExecSync', { container_id, cmd: ['true'], timeout: 60 });
    const bare = (): Promise<unknown> => bareExec(container_id);
    const times: { ours: number[]; bare: number[] } = { ours: [], bare: [] };
    for (let round = -5; round < ROUNDS; round++) {
      const order = round % 2 === 0 ? (['ours', 'bare'] as const) : (['bare', 'ours'] as const);
      for (const who of order) {
        const ms = await timed(who === 'ours' ? ours : bare);
        if (round >= 0) times[who].push(ms);
      }
    }
    const [mine, theirs] = [median(times.ours), median(times.bare)];
    print(
      `ExecSync p50 ${mine.toFixed(1)} ms, bare Engine ${theirs.toFixed(1)} ms, ratio ${(mine / theirs).toFixed(2)}`,
    );
    expect(times.ours).toHaveLength(ROUNDS);
  } finally {
    await test.stop();
  }
}, 120_000);

/**
 * Runs an exec without dockbridge: create, start, read to the end and inspect, over kept connections where
 * possible.
 */
async function bareExec(id: string): Promise<void> {
  const engine = sharedDockerHost();
  const json = { Cmd: ['true'], AttachStdout: true, AttachStderr: true };
  const created = (await engineCall(engine, 'POST', `/containers/${id}/exec`, { json })) as { Id: string };
  await new Promise<void>((resolve, reject) => {
    const call = request({
      socketPath: new URL(engine).pathname,
      path: `/exec/${created.Id}/start`,
      method: 'POST',
      headers: { 'Content-Type': 'application/json', Connection: 'Upgrade', Upgrade: 'tcp' },
    });
    call.on('upgrade', (_, socket) => {
      socket.resume().on('close', resolve);
      socket.on('end', () => socket.destroy());
    });
    call.on('error', reject);
    call.end(JSON.stringify({ Detach: false, Tty: false }));
  });
  await engineCall(engine, 'GET', `/exec/${created.Id}/json`);
}
