import type { ListedRecord } from '../../store/listed-table';
import { containerFromInspect, isToldByLabels } from './container-record';
import type { EngineContainerInspect, EngineContainerSummary } from '../../engine/types';
import { CONTAINER_TYPE, SANDBOX_ID_LABEL, TYPE_LABEL } from '../shared/labels';
import { withoutSlash } from '../shared/names';

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

/**
 * What the Engine's list tells of one of a pod's containers. It is enough to list a container of ours that runs. All else
 * needs an inspect: it tells whether a sandbox's network stands, whether a start failed, and when cri-dockerd made a
 * container to the nanosecond; and a container has not ended for CRI before its log is complete.
 */
export function listedFromSummary(summary: EngineContainerSummary): ListedRecord {
  const { Id: id, State, Names, Labels } = summary;
  const labels = Labels ?? {};
  if (labels[TYPE_LABEL] !== CONTAINER_TYPE) return { id, kind: 'sandbox', sandboxId: id, record: undefined };
  const runs = State === 'running' || State === 'paused';
  const isTold = runs && isToldByLabels(withoutSlash(Names[0] ?? ''), labels);
  const record = isTold ? containerFromInspect(inspectFromSummary(summary)) : undefined;
  return { id, kind: 'container', sandboxId: labels[SANDBOX_ID_LABEL] ?? '', record };
}
