import type { PluginMethod } from '../proto/nri';

/** The requests about pods and containers to which a plugin can subscribe. */
export type PluginEvent = Exclude<PluginMethod, 'Configure' | 'Synchronize' | 'Shutdown' | 'StateChange'>;

/** The numbers of NRI's enum Event. */
export const EVENT_NUMBERS: Readonly<Record<PluginEvent, number>> = {
  RunPodSandbox: 1,
  StopPodSandbox: 2,
  RemovePodSandbox: 3,
  CreateContainer: 4,
  PostCreateContainer: 5,
  StartContainer: 6,
  PostStartContainer: 7,
  UpdateContainer: 8,
  PostUpdateContainer: 9,
  StopContainer: 10,
  RemoveContainer: 11,
  UpdatePodSandbox: 12,
  PostUpdatePodSandbox: 13,
  ValidateContainerAdjustment: 14,
};

/** The mask of all events. */
export const ALL_EVENTS = 2 ** Object.keys(EVENT_NUMBERS).length - 1;

/** Returns the event's bit in a mask of events. */
export function bitOf(event: PluginEvent): number {
  return 2 ** (EVENT_NUMBERS[event] - 1);
}

/** The events that a plugin built with an old version of NRI gets through the method StateChange. */
export type NotifiedEvent =
  | 'RunPodSandbox'
  | 'PostUpdatePodSandbox'
  | 'StopPodSandbox'
  | 'RemovePodSandbox'
  | 'PostCreateContainer'
  | 'StartContainer'
  | 'PostStartContainer'
  | 'PostUpdateContainer'
  | 'RemoveContainer';

const NOTIFIED: ReadonlySet<PluginEvent> = new Set<NotifiedEvent>([
  'RunPodSandbox',
  'PostUpdatePodSandbox',
  'StopPodSandbox',
  'RemovePodSandbox',
  'PostCreateContainer',
  'StartContainer',
  'PostStartContainer',
  'PostUpdateContainer',
  'RemoveContainer',
]);

export function isNotified(event: PluginEvent): event is NotifiedEvent {
  return NOTIFIED.has(event);
}
