import type { Check } from '../check';
import type { EngineReport, Timed } from '../sources';
import { fail, ok, warn, type Finding } from '../report';

const WARN_MS = 5_000;
const FAIL_MS = 60_000;

/** Whether the Engine's clock is ours: log lines, events and start times come from it. */
export const clock: Check = {
  id: 'clock',
  run: async ({ info }) => [judgeClock(await info())],
};

export function judgeClock({ answer, asked, answered }: Timed<Pick<EngineReport, 'SystemTime'>>): Finding {
  const engine = Date.parse(answer.SystemTime ?? '');
  if (Number.isNaN(engine)) return warn('the Engine does not tell its time', 'Compare the clocks by hand.');
  // It looked at its clock at some moment between question and answer.
  const off = engine < asked ? asked - engine : Math.max(0, engine - answered);
  if (off < WARN_MS) return ok("the Engine's clock agrees with ours");
  const found = `the Engine's clock is ${Math.round(off / 1000)} s ${engine < asked ? 'behind' : 'ahead of'} ours`;
  const cure = 'Let NTP (chrony, systemd-timesyncd) set the clocks of both machines.';
  return off < FAIL_MS ? warn(found, cure) : fail(found, cure);
}
