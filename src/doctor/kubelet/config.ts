import { parse } from 'yaml';

/** What of a KubeletConfiguration has to do with its runtime. '' where the file says nothing. */
export interface KubeletConfig {
  readonly featureGates: Readonly<Record<string, boolean>>;
  readonly containerRuntimeEndpoint: string;
  readonly cgroupDriver: string;
}

const KIND = 'KubeletConfiguration';

/**
 * @param text YAML 1.1, as kubelet reads it; JSON is YAML too.
 * @throws Error that says what is wrong, without the file's name and without its contents.
 */
export function parseKubeletConfig(text: string): KubeletConfig {
  const config: unknown = parse(text, { version: '1.1', prettyErrors: false, logLevel: 'error' });
  if (!isMap(config)) throw new Error(`is no ${KIND}`);
  if (config.kind !== KIND) throw new Error(`"kind" is not ${KIND}`);
  const { featureGates = {} } = config;
  if (featureGates !== null && !isMap(featureGates)) throw new Error('"featureGates" is no map');
  return {
    featureGates: Object.fromEntries(
      Object.entries(featureGates ?? {}).map(([name, value]) => {
        if (typeof value !== 'boolean') throw new Error(`"featureGates.${name}" is neither true nor false`);
        return [name, value];
      }),
    ),
    containerRuntimeEndpoint: textOf(config, 'containerRuntimeEndpoint'),
    cgroupDriver: textOf(config, 'cgroupDriver'),
  };
}

function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function textOf(config: Readonly<Record<string, unknown>>, key: string): string {
  const value = config[key] ?? '';
  if (typeof value !== 'string') throw new Error(`"${key}" is no text`);
  return value;
}
