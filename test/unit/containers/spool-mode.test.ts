import { EngineError } from '../../../src/docker/errors';
import { SpoolMode } from '../../../src/containers/spool-mode';
import type { EngineContainerCreate } from '../../../src/engine/types';
import { LogWatch } from '../../integration/support/log-watch';

const BODY: EngineContainerCreate = {
  Image: 'sha256:abc',
  Labels: {},
  HostConfig: { LogConfig: { Type: 'json-file', Config: { 'max-size': '16m', mode: 'blocking' } } },
};
const BUFFERED = {
  ...BODY,
  HostConfig: {
    LogConfig: {
      Type: 'json-file',
      Config: { 'max-size': '16m', mode: 'non-blocking', 'max-buffer-size': '64m' },
    },
  },
};

const refusal = (status: number, message: string): EngineError =>
  new EngineError('INVALID_ARGUMENT', status, message);

describe('SpoolMode', () => {
  it('asks once where the Engine takes what we want', async () => {
    const send = jest.fn(() => Promise.resolve('id'));
    expect(await new SpoolMode(new LogWatch().logger).create(BODY, send)).toBe('id');
    expect(send.mock.calls).toEqual([[BODY]]);
  });

  it('buffers where the Engine’s own options leave no other way, and says so once', async () => {
    const log = new LogWatch();
    const mode = new SpoolMode(log.logger);
    const send = jest.fn((body: EngineContainerCreate) =>
      body === BODY ? Promise.reject(refusal(400, 'max-buffer-size')) : Promise.resolve('id'),
    );
    expect(await mode.create(BODY, send)).toBe('id');
    expect(await mode.create(BODY, send)).toBe('id');
    expect(send.mock.calls).toEqual([[BODY], [BUFFERED], [BODY], [BUFFERED]]);
    expect(log.lines.map(({ level, message }) => [level, message])).toEqual([
      ['warn', expect.stringContaining('max-buffer-size')],
    ]);
  });

  it('hands on what is wrong beside the log, which the first refusal does not name', async () => {
    const send = jest.fn((body: EngineContainerCreate) =>
      Promise.reject(refusal(400, body === BODY ? 'max-buffer-size' : 'Cannot mkdir: /etc/passwd')),
    );
    await expect(new SpoolMode(new LogWatch().logger).create(BODY, send)).rejects.toThrow(/^Cannot mkdir/);
  });

  it('hands on what happens at the second request', async () => {
    const send = jest.fn((body: EngineContainerCreate) =>
      Promise.reject(body === BODY ? refusal(400, 'first') : refusal(409, 'name is taken')),
    );
    await expect(new SpoolMode(new LogWatch().logger).create(BODY, send)).rejects.toThrow(/name is taken/);
  });

  it.each([
    { desc: 'another status', body: BODY, status: 409 },
    { desc: 'a log of another driver', body: { ...BODY, HostConfig: {} }, status: 400 },
  ])('does not ask again after $desc', async ({ body, status }) => {
    const send = jest.fn(() => Promise.reject(refusal(status, 'no')));
    await expect(new SpoolMode(new LogWatch().logger).create(body, send)).rejects.toThrow(/no/);
    expect(send).toHaveBeenCalledTimes(1);
  });
});
