import type { EngineContainerInspect } from '../../engine/types';
import { EXTRA_LABEL } from '../../translate/shared/labels';
import type { Note } from './report';

export interface LogFate {
  readonly driver: string;
  readonly log: string;
  readonly notes: readonly Note[];
}

/** What becomes of a container's log under `--container-logs` (docs/logs.md). */
export function logFateOf(
  { Config, HostConfig, State }: EngineContainerInspect,
  name: string,
  mode: 'cri' | 'link',
): LogFate {
  const driver = HostConfig.LogConfig?.Type ?? 'json-file';
  const { compress } = HostConfig.LogConfig?.Config ?? {};
  if (driver !== 'json-file') {
    const text = `container ${name}: its log is with the Engine's driver ${driver}, so kubelet cannot read it, as before; a line in its place says so`;
    return { driver, log: 'no file', notes: [{ severity: 'note', text }] };
  }
  const notes: Note[] =
    compress === 'true'
      ? [
          {
            severity: 'warning',
            text: `container ${name}: the Engine compresses rotated files (compress=true), which cannot be followed`,
          },
        ]
      : [];
  if (mode === 'link') return { driver, log: "stays a link to the Engine's file", notes };
  if (Config.Labels?.[EXTRA_LABEL] !== undefined) return { driver, log: 'a CRI file, as it is', notes };
  const log =
    State.Status === 'running' || State.Status === 'paused'
      ? 'stays a link until it is rotated or the container ends, then a CRI file'
      : "stays a link to the Engine's file";
  return { driver, log, notes };
}
