import { Awaiting } from '../../../src/harness/drive/awaiting';
import { Bindings } from '../../../src/harness/drive/bindings';

it('Awaiting does not wait for hours for a state that came hours after the last change', async () => {
  const driven = { ms: 1, status: 'OK', response: { status: { id: 'live', state: 'CONTAINER_RUNNING' } } };
  const bindings = new Bindings();
  bindings.bind('tape', 'live');
  // Awaiting waits at most two minutes plus the third argument, so 50 ms here.
  const awaiting = new Awaiting(bindings, new Set(), -119_950);
  const response = { status: { id: 'tape', state: 'CONTAINER_EXITED' } };
  const call = { ...{ n: 1, t: 9_000, end: 9_000, ms: 1, request: {}, status: 'OK' }, faults: [] };
  const reached = await awaiting.reach(
    { ...call, method: 'ContainerStatus', response },
    7_200_000,
    new AbortController().signal,
    async () => Promise.resolve(driven),
  );
  expect(reached).toEqual({ driven, isPassed: false });
});
