import { methodOf, METHOD_NAMES } from '../../../src/harness/methods';
import { Overhead } from '../../../src/harness/proxy/overhead';
import { deadlineMs, outgoing } from '../../../src/harness/proxy/raw-headers';
import { errorHeaders, statusIn } from '../../../src/harness/proxy/status';
import { NO_TAP } from './support/runtime';

it.each([
  ['2H', 7_200_000],
  ['3M', 180_000],
  ['119999m', 119_999],
  ['5S', 5_000],
  ['1500u', 1.5],
  ['99999999n', 99.999999],
  ['', undefined],
  ['123456789m', undefined],
  ['5x', undefined],
])('for the deadline %j, deadlineMs returns %s', (text, ms) => {
  expect(deadlineMs(['grpc-timeout', text])).toBe(ms);
});

it('repeated header fields stay repeated', () => {
  expect(outgoing([':path', '/x', 'a', '1', 'b', '2', 'a', '3', 'a', '4'])).toEqual({
    ...{ ':path': '/x', a: ['1', '3', '4'], b: '2' },
  });
});

it('a header field may have the name of a property of Object.prototype', () => {
  expect(Object.entries(outgoing(['constructor', '1', 'valueof', '2']))).toEqual([
    ['constructor', '1'],
    ['valueof', '2'],
  ]);
});

it('a status is read from its fields', () => {
  expect(statusIn(['x', 'y'])).toBeUndefined();
  expect(statusIn(['grpc-status', '0', 'grpc-message', 'OK'])).toEqual({ status: 'OK' });
  expect(
    statusIn(['grpc-status', '5', 'grpc-message', 'no%20%C3%B6%3A /x', 'grpc-status-details-bin', 'CAU']),
  ).toEqual({ status: 'NOT_FOUND', details: 'no ö: /x', detailsBin: 'CAU' });
  expect(statusIn(['grpc-status', '99', 'grpc-message', '100%'])).toEqual({
    status: 'CODE_99',
    details: '100%',
  });
});

it('clients read an error of the proxy as intended', () => {
  const headers = errorHeaders('UNAVAILABLE', 'unix:///x: 100% “gone”\n');
  expect(headers['grpc-message']).toBe('unix:///x: 100%25 %E2%80%9Cgone%E2%80%9D%0A');
  const raw = Object.entries(headers).flatMap(([name, value]) => [name, String(value)]);
  expect(statusIn(raw)).toEqual({ status: 'UNAVAILABLE', details: 'unix:///x: 100% “gone”\n' });
});

it('the path identifies the method', () => {
  expect(methodOf('/runtime.v1alpha2.ImageService/PullImage')).toEqual({
    ...{ api: 'v1alpha2', service: 'ImageService', name: 'PullImage', streams: false },
    ...{ request: 'PullImageRequest', response: 'PullImageResponse' },
  });
  expect(methodOf('/runtime.v1.RuntimeService/GetContainerEvents')?.streams).toBe(true);
  expect(methodOf('/runtime.v1.RuntimeService/constructor')).toMatchObject({ request: undefined });
  for (const api of ['v2', 'v1beta1', 'v1alpha3'])
    expect(methodOf(`/runtime.${api}.RuntimeService/Version`)).toBeUndefined();
  expect(methodOf('/grpc.health.v1.Health/Check')).toBeUndefined();
  expect(new Set(METHOD_NAMES).size).toBe(METHOD_NAMES.length);
});

it('the overhead includes only calls that the runtime answered', () => {
  const overhead = new Overhead();
  for (const by of ['runtime', 'client'] as const) {
    const tap = overhead.timed(NO_TAP);
    tap.requestPassed();
    tap.responseHeaders([]);
    tap.closed({ by, reset: 0 });
  }
  const { calls, p50, max } = overhead.report();
  expect(calls).toBe(1);
  expect(p50).toBeGreaterThan(0);
  expect(max).toBeGreaterThanOrEqual(p50);
});
