import * as errors from '../../../src/lib/errors';

describe('errors', () => {
  it.each([
    [errors.notFound('m'), 'NOT_FOUND', 'm'],
    [errors.alreadyExists('m'), 'ALREADY_EXISTS', 'm'],
    [errors.failedPrecondition('m'), 'FAILED_PRECONDITION', 'm'],
    [errors.unavailable('m'), 'UNAVAILABLE', 'm'],
    [errors.deadlineExceeded('m'), 'DEADLINE_EXCEEDED', 'm'],
    [errors.cancelled('m'), 'CANCELLED', 'm'],
    [errors.internal('m'), 'INTERNAL', 'm'],
    [errors.invalidArgument('config.a', 'is bad'), 'INVALID_ARGUMENT', 'config.a: is bad'],
    [errors.unsupported('config.a', 'not here'), 'UNIMPLEMENTED', 'config.a: not here'],
  ])('such as %p have the code %s and the message %j', (error, code, message) => {
    expect(error).toBeInstanceOf(errors.RuntimeError);
    expect(error).toMatchObject({ name: 'RuntimeError', code, message });
  });

  it('keep their cause', () => {
    const cause = new Error('deeper');
    expect(errors.internal('m', { cause }).cause).toBe(cause);
  });

  it.each([
    { desc: 'the same code', error: errors.notFound(''), is: true },
    { desc: 'another code', error: errors.internal(''), is: false },
    { desc: 'a foreign error with a code', error: { code: 'NOT_FOUND' }, is: false },
    { desc: 'undefined', error: undefined, is: false },
  ])('have the code NOT_FOUND according to hasCode ($is): $desc', ({ error, is }) =>
    expect(errors.hasCode(error, 'NOT_FOUND')).toBe(is),
  );

  it.each([
    [new Error('text'), 'text'],
    ['a string', 'a string'],
    [undefined, 'undefined'],
    [7, '7'],
  ])('messageOf accepts %p', (thrown, message) => expect(errors.messageOf(thrown)).toBe(message));

  it.each([
    [Object.assign(new Error(), { code: 'ENOENT' }), 'ENOENT'],
    [Object.assign(new Error(), { code: 5 }), undefined],
    [new Error(), undefined],
    [null, undefined],
    ['ENOENT', undefined],
  ])('errnoOf accepts %p', (thrown, errno) => expect(errors.errnoOf(thrown)).toBe(errno));
});
