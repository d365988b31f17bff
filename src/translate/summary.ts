import type { EngineContainerInspect, EngineContainerSummary } from './engine';

/**
 * The little that a list says of a container, in the shape of an inspect: for one whose inspect fails or hangs. It must
 * not vanish from CRI for that; what the list does not tell (how it ended) is left UNKNOWN.
 */
export function inspectFromSummary(summary: EngineContainerSummary): EngineContainerInspect {
  const isPlain = summary.State === 'created' || summary.State === 'running' || summary.State === 'paused';
  const created = new Date(summary.Created * 1000).toISOString();
  return {
    Id: summary.Id,
    Name: summary.Names[0] ?? '',
    Created: created,
    Image: summary.ImageID,
    State: {
      Status: isPlain ? summary.State : 'unknown',
      Pid: 0,
      ExitCode: 0,
      OOMKilled: false,
      Error: '',
      StartedAt: summary.State === 'created' ? '' : created,
      FinishedAt: '',
    },
    Config: { Image: summary.Image, Labels: summary.Labels ?? {} },
    HostConfig: summary.HostConfig ?? {},
    NetworkSettings: summary.NetworkSettings ?? {},
  };
}
