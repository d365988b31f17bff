import { statusText } from '../../../src/streaming/remotecommand/status';

describe('statusText', () => {
  it('is JSON since version 4', () => {
    expect(JSON.parse(statusText({ kind: 'exited', code: 0 }, 4))).toEqual({
      metadata: {},
      status: 'Success',
    });
    expect(JSON.parse(statusText({ kind: 'exited', code: 137 }, 5))).toMatchObject({
      status: 'Failure',
      reason: 'NonZeroExitCode',
      details: { causes: [{ reason: 'ExitCode', message: '137' }] },
    });
    expect(JSON.parse(statusText({ kind: 'failed', message: 'no' }, 4))).toMatchObject({
      status: 'Failure',
      reason: 'InternalError',
      message: 'no',
      code: 500,
    });
  });

  it('was text before, and nothing for success', () => {
    expect(statusText({ kind: 'exited', code: 0 }, 3)).toBe('');
    expect(statusText({ kind: 'exited', code: 7 }, 1)).toContain('7');
    expect(statusText({ kind: 'failed', message: 'no' }, 2)).toBe('no');
  });
});
