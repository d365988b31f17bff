import { access, mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { status, type ServiceError } from '@grpc/grpc-js';
import { ContainerState } from '../../src/proto/enums';
import { hasProgram } from '../../src/node/programs';
import { TestDaemon } from './support/daemon';
import { startPrivateEngine } from './support/engine';
import { expectFailure } from './support/grpc';
import { containerConfig, createContainer, FOREVER, runPod, startedContainer, stateOf } from './support/pods';

it('the three checkpoint calls are refused on an Engine that is not experimental, each with its reason', async () => {
  const test = await TestDaemon.start();
  try {
    const pod = await runPod(test);
    const id = await startedContainer(test, pod, containerConfig('main', FOREVER));
    const location = join(test.directory, 'c.tar');
    const ask = (container_id: string, where: string, timeout = 0): Promise<unknown> =>
      test.client.call('CheckpointContainer', { container_id, location: where, timeout });
    await expectFailure(ask(id, location), 'UNIMPLEMENTED', /"experimental": true/);
    await expectFailure(ask(id, 'c.tar'), 'INVALID_ARGUMENT', /^location: /);
    await expectFailure(ask(id, ''), 'INVALID_ARGUMENT', /^location: /);
    await expectFailure(ask(id, location, -1), 'INVALID_ARGUMENT', /^timeout: /);
    await expectFailure(ask('none', location), 'NOT_FOUND');
    const created = await createContainer(test, pod, containerConfig('created', FOREVER));
    await expectFailure(ask(created, location), 'FAILED_PRECONDITION', /not running/);
    await expectFailure(test.client.call('CheckpointPod', {}), 'UNIMPLEMENTED', /as a whole/);
    await expectFailure(test.client.call('RestorePod', {}), 'UNIMPLEMENTED', /as a whole/);
  } finally {
    await test.stop();
  }
});

// The test starts an Engine of its own, which takes a long time on a busy machine.
jest.setTimeout(240_000);

it("CheckpointContainer makes a checkpoint on an experimental Engine with CRIU, or passes CRIU's error on, and the container runs on", async () => {
  const engine = await startPrivateEngine('checkpoint', { dockerd: ['--experimental'] });
  const test = await TestDaemon.start({ dockerHost: engine.dockerHost });
  try {
    const pod = await runPod(test);
    const container_id = await startedContainer(test, pod, containerConfig('main', FOREVER));
    const directory = join(test.directory, 'checkpoints');
    await mkdir(directory);
    const call = test.client.call('CheckpointContainer', {
      container_id,
      location: join(directory, 'c.tar'),
      timeout: 60,
    });
    const error = await call.then(
      () => undefined,
      (failure: unknown) => failure as ServiceError,
    );
    if (error === undefined) await access(join(directory, 'c.tar'));
    else expect(await readdir(directory)).toEqual([]);
    if (!(await hasProgram('criu', process.env.PATH))) {
      expect([error?.code, error?.details]).toEqual([
        status.UNIMPLEMENTED,
        'cannot checkpoint: CRIU (criu) is not installed on this node',
      ]);
    } else if (error !== undefined) {
      // The kernel, or its emulation, lacks what CRIU needs, so the error has the Engine's words.
      expect(error.code).toBe(status.UNKNOWN);
      expect(error.details).toMatch(/checkpoint|criu/i);
    }
    expect(await stateOf(test, container_id)).toBe(ContainerState.CONTAINER_RUNNING);
  } finally {
    await test.stop();
    await engine.destroy();
  }
});
