import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import { demo } from '../../../src/cli/demo';
import { EngineServer, reply } from '../../fakes/engine-server';
import { rejectionOf } from '../support/errors';

describe('demo', () => {
  let temporary: string;
  let engine: EngineServer;
  beforeEach(async () => {
    engine = await EngineServer.start();
    temporary = mkdtempSync(join(os.tmpdir(), 'demo-test-'));
    jest.spyOn(os, 'tmpdir').mockReturnValue(temporary);
  });
  afterEach(async () => {
    jest.restoreAllMocks();
    rmSync(temporary, { recursive: true });
    await engine.close();
  });

  it('refuses an Engine that already has pods, because it would write their logs twice, and leaves nothing behind', async () => {
    engine.answers(reply(200, [{ Id: 'a1' }]));
    const refused = await rejectionOf(demo({ dockerEndpoint: engine.endpoint, image: 'busybox' }));
    expect(refused).toMatch(/^FAILED_PRECONDITION .* runs pods already \(1 container\)/);
    expect(readdirSync(temporary)).toEqual([]);
  });
});
