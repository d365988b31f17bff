import { DatedLinkState } from '../../../src/sync/link-state';

it('the state keeps the time of the loss of a connection when its reason changes', () => {
  jest.useFakeTimers();
  try {
    const dated = new DatedLinkState({ ready: false, reason: 'not yet' });
    jest.advanceTimersByTime(1_000);
    dated.value = { ready: false, reason: 'refused' };
    expect(dated.age).toBe(1_000);
    dated.value = { ready: true };
    expect(dated.age).toBe(0);
    jest.advanceTimersByTime(500);
    dated.value = { ready: true };
    expect(dated.age).toBe(500);
    dated.value = { ready: false, reason: 'gone' };
    expect([dated.age, dated.value]).toEqual([0, { ready: false, reason: 'gone' }]);
  } finally {
    jest.useRealTimers();
  }
});
