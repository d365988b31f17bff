import { counted } from '../../lib/counted';

/** Returns the message about lines that the recording lost, of which the tape contains only the number. */
export function lostLines(lost: number): string {
  return counted(
    lost,
    'line is missing, because the recording lost it',
    'lines are missing, because the recording lost them',
  );
}
