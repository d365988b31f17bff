import { ChildDaemon } from './support/child-daemon';
import { freshConfig } from './support/pods';
import { execOverSpdy } from '../fakes/streaming-client';

let daemon: ChildDaemon;
beforeAll(async () => {
  daemon = await ChildDaemon.start();
});
afterAll(() => daemon.stop());

async function run(container_id: string, script: string): Promise<string> {
  const cmd = ['/bin/sh', '-c', script];
  const { stdout } = await daemon.client.call('ExecSync', { container_id, cmd, timeout: 60 });
  return Buffer.from(stdout).toString().trim();
}

it('the commands of a killed daemon are ended by the next one', async () => {
  const config = {
    metadata: { name: 'left', uid: 'left', namespace: 'test', attempt: 0 },
    log_directory: daemon.logDirectory,
    linux: {},
  };
  const { pod_sandbox_id } = await daemon.client.call('RunPodSandbox', { config });
  const { container_id } = await daemon.client.call('CreateContainer', {
    pod_sandbox_id,
    config: freshConfig('exec tail -f /dev/null'),
    sandbox_config: config,
  });
  await daemon.client.call('StartContainer', { container_id });
  // One command of each kind, and one that has ended except for a child that it left on purpose.
  const cmd = ['/bin/sh', '-c', 'touch /begun; sleep 4325; true'];
  const call = daemon.client.call('ExecSync', { container_id, cmd, timeout: 0 });
  call.catch(() => undefined);
  const { url } = await daemon.client.call('Exec', {
    container_id,
    cmd: ['/bin/sh', '-c', 'echo begun; sleep 4326; true'],
    stdout: true,
  });
  const session = await execOverSpdy(url);
  await new Promise((resolve) => session.stdout.once('data', resolve));
  await run(container_id, 'until [ -e /begun ]; do sleep 0.1; done; sleep 4327 >/dev/null 2>&1 &');
  expect(await run(container_id, 'pgrep sleep | wc -l')).toBe('3');
  await daemon.kill9();
  await daemon.launch();
  expect(
    await run(container_id, 'while [ $(pgrep sleep | wc -l) -gt 1 ]; do :; done; pgrep sleep | wc -l'),
  ).toBe('1');
}, 120_000);
