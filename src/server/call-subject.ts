import type { LogFields } from '../lib/logger';

type Fields = Readonly<Record<string, unknown>>;

/**
 * What a call is about, by the names of docs/debugging.md: a pod can be followed from its name to its sandbox, and from there to its
 * containers.
 *
 * @param messages its request, and its answer where there is one: RunPodSandbox and CreateContainer name their id there.
 */
export function callSubject(...messages: readonly unknown[]): LogFields {
  const subject: Record<string, string> = {};
  const put = (key: string, value: unknown): void => {
    if (typeof value === 'string' && value !== '') subject[key] = value;
  };
  for (const message of messages.map(fields)) {
    put('sandbox', message.pod_sandbox_id);
    put('container', message.container_id);
    put('image', fields(message.image).image);
    for (const { name, namespace } of [metadata(message.sandbox_config), metadata(message.config)]) {
      // A container's metadata has no namespace.
      if (typeof namespace === 'string') put('pod', `${namespace}/${String(name)}`);
      else put('name', name);
    }
  }
  return subject;
}

function metadata(config: unknown): Fields {
  return fields(fields(config).metadata);
}

function fields(value: unknown): Fields {
  return typeof value === 'object' && value !== null ? (value as Fields) : {};
}
