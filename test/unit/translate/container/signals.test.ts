import { Signal } from '../../../../src/proto/enums';
import { toCriSignal, toEngineSignal } from '../../../../src/translate/container/signals';
import { thrownBy } from '../../support/errors';

const all = Object.entries(Signal).filter(([name]) => name !== 'SIGNAL_RUNTIME_DEFAULT');

/** The Engine's name, written out independently: SIGNAL_SIGRTMINPLUS3 is SIGRTMIN+3. */
function engineName(name: string): string {
  return name
    .slice('SIGNAL_'.length)
    .replace(/^(SIGRTMIN)PLUS/, '$1+')
    .replace(/^(SIGRTMAX)MINUS/, '$1-');
}

describe('signals', () => {
  it('have 65 numbers and a default', () => expect(all).toHaveLength(65));

  it.each(all)('translate %s in both directions', (name, number) => {
    expect(toEngineSignal(number, 'f')).toBe(engineName(name));
    expect(toCriSignal(engineName(name))).toBe(number);
    expect(toCriSignal(engineName(name).slice(3))).toBe(number);
    expect(toCriSignal(engineName(name).toLowerCase())).toBe(number);
  });

  it.each([
    ['SIGTERM', Signal.SIGNAL_SIGTERM],
    ['RTMIN+15', Signal.SIGNAL_SIGRTMINPLUS15],
    ['SIGRTMAX-14', Signal.SIGNAL_SIGRTMAXMINUS14],
    ['', Signal.SIGNAL_RUNTIME_DEFAULT],
    ['SIGNONSENSE', Signal.SIGNAL_RUNTIME_DEFAULT],
    // Dockerfiles may contain numbers, which are Linux's and not CRI's.
    ['15', Signal.SIGNAL_SIGTERM],
    ['9', Signal.SIGNAL_SIGKILL],
    ['3', Signal.SIGNAL_SIGQUIT],
    ['0', Signal.SIGNAL_RUNTIME_DEFAULT],
    ['999', Signal.SIGNAL_RUNTIME_DEFAULT],
  ])('translate the name %p to the number %d', (name, number) => expect(toCriSignal(name)).toBe(number));

  it('have no Engine name for the default', () => expect(toEngineSignal(0, 'f')).toBe(''));

  it.each([66, -1, 1000])('refuse %d', (number) => {
    expect(thrownBy(() => toEngineSignal(number, 'config.stop_signal'))).toBe(
      `INVALID_ARGUMENT config.stop_signal: unknown signal number ${number}`,
    );
  });
});
