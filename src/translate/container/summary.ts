import type { ListedRecord } from '../../store/listed-table';
import { containerFromInspect, isDescribedByLabels } from './container-record';
import type { EngineContainerInspect, EngineContainerSummary } from '../../engine/types';
import { CONTAINER_TYPE, SANDBOX_ID_LABEL, TYPE_LABEL } from '../shared/labels';
import { withoutSlash } from '../shared/names';

/**
 * What a list tells about a container, in the form of an inspect. It is used if the inspect fails or hangs, because the
 * container must not disappear from CRI then; what the list does not tell (how it ended) is UNKNOWN.
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
 * What the Engine's list tells about a container of a pod. It is enough to list a running container that we created. Everything
 * else needs an inspect, which tells whether a sandbox's network is set up, whether a start failed, and when cri-dockerd made a
 * container to the nanosecond; and a container has not ended for CRI before its log is complete.
 */
export function listedFromSummary(summary: EngineContainerSummary): ListedRecord {
  const { Id: id, State, Names, Labels } = summary;
  const labels = Labels ?? {};
  if (labels[TYPE_LABEL] !== CONTAINER_TYPE) return { id, kind: 'sandbox', sandboxId: id, record: undefined };
  const runs = State === 'running' || State === 'paused';
  const isDescribed = runs && isDescribedByLabels(withoutSlash(Names[0] ?? ''), labels);
  const record = isDescribed ? containerFromInspect(inspectFromSummary(summary)) : undefined;
  return { id, kind: 'container', sandboxId: labels[SANDBOX_ID_LABEL] ?? '', record };
}
