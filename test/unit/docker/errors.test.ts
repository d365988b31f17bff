import { EngineError, hasStatus, toRuntimeError } from '../../../src/docker/errors';
import { RuntimeError, unavailable } from '../../../src/lib/errors';

/** The error that docker-modem rejects with. */
function modemError(status: number, text: string): Error {
  return Object.assign(new Error(`(HTTP code ${status}) unexpected - ${text} `), { statusCode: status });
}

describe('toRuntimeError', () => {
  it('returns our own errors unchanged', () => {
    const error = unavailable('x');
    expect(toRuntimeError(error)).toBe(error);
  });

  it.each([
    'No such container: x',
    'a - b - c',
    'first line\nsecond (HTTP code 1) x - line',
    '(HTTP code 404) unexpected - nested',
  ])('keeps exactly the text of the Engine: %j', (text) => {
    const error = toRuntimeError(modemError(404, text));
    expect(error).toMatchObject({ code: 'NOT_FOUND', statusCode: 404, message: text });
  });

  it.each([
    'ECONNREFUSED',
    'ECONNRESET',
    'ENOENT',
    'EPIPE',
    'EACCES',
    'ETIMEDOUT',
    'EHOSTUNREACH',
    'ENOTFOUND',
  ])('turns %s into UNAVAILABLE and names it', (code) => {
    const error = toRuntimeError(Object.assign(new Error('x'), { code }));
    expect(error).toMatchObject({ code: 'UNAVAILABLE', message: expect.stringContaining(code) as string });
    expect(error).not.toBeInstanceOf(EngineError);
  });

  it.each([
    undefined,
    null,
    'text',
    42,
    {},
    new Error('odd'),
    { statusCode: 'x' },
    Object.assign(new Error('odd'), { code: 7 }),
  ])('makes an error of any value: %p', (thrown) => {
    const error = toRuntimeError(thrown);
    expect(error).toBeInstanceOf(RuntimeError);
    expect(error).toMatchObject({ code: 'UNKNOWN', cause: thrown });
  });

  it('prefers the reason of its signal, which says why the call ended, to the error', () => {
    const reason = unavailable('the caller is gone');
    const torn = Object.assign(new Error('aborted'), { code: 'ECONNRESET' });
    expect(toRuntimeError(torn, AbortSignal.abort(reason))).toBe(reason);
    expect(toRuntimeError(torn, new AbortController().signal)).toMatchObject({
      message: expect.stringMatching(/ECONNRESET/) as string,
    });
  });
});

describe('hasStatus', () => {
  it('is true only for an answer of the Engine with that status', () => {
    expect(hasStatus(new EngineError('NOT_FOUND', 404, 'x'), 404)).toBe(true);
    expect(hasStatus(new EngineError('NOT_FOUND', 404, 'x'), 409)).toBe(false);
    expect(hasStatus(modemError(404, 'not yet translated'), 404)).toBe(false);
    expect(hasStatus(undefined, 404)).toBe(false);
  });
});
