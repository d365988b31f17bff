import { faultLine, type Fault } from '../../config/fault';
import type { Check } from '../check';
import { fail, ok, type Finding } from '../report';

/** Whether dockbridge could start with its configuration files. */
export const configuration: Check = {
  id: 'configuration',
  run: ({ faults }) => Promise.resolve(judgeConfiguration(faults)),
};

export function judgeConfiguration(faults: readonly Fault[]): readonly Finding[] {
  if (faults.length === 0) return [ok('the configuration files have no mistakes')];
  return faults.map((fault) =>
    fail(
      faultLine(fault),
      'Correct it, and run `dockbridge config check`: dockbridge does not start with such a file. The other lines were examined without it.',
    ),
  );
}
