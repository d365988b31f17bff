/**
 * The decision whether dockbridge traces, which depends on some of OpenTelemetry's variables. The SDK reads the other
 * variables.
 */
export type TraceSettings =
  | { readonly kind: 'off' }
  | { readonly kind: 'on'; readonly endpoint: string }
  /** `why` names the variable and the values that dockbridge accepts. */
  | { readonly kind: 'refused'; readonly why: string };

type Environment = Readonly<Record<string, string | undefined>>;

/** The only protocol that dockbridge contains. The OTLP exporter's specification names three. */
const PROTOCOL = 'http/protobuf';

/**
 * Reads the variables of OpenTelemetry's specification ("Environment Variable Specification", "OpenTelemetry Protocol
 * Exporter"): a variable for traces overrides the variable for all signals, and an empty value counts as unset. Without an
 * endpoint, tracing is off. The specification's default endpoint is not used, because dockbridge would then trace although
 * nobody asked for it.
 */
export function readTraceSettings(environment: Environment): TraceSettings {
  const first = (...names: readonly string[]): readonly [name: string, value: string] | undefined =>
    names.map((name) => [name, environment[name]?.trim() ?? ''] as const).find(([, value]) => value !== '');
  const endpoint = first('OTEL_EXPORTER_OTLP_TRACES_ENDPOINT', 'OTEL_EXPORTER_OTLP_ENDPOINT');
  const exporter = first('OTEL_TRACES_EXPORTER')?.[1] ?? 'otlp';
  const isDisabled = first('OTEL_SDK_DISABLED')?.[1].toLowerCase() === 'true';
  if (endpoint === undefined || isDisabled || exporter === 'none') return { kind: 'off' };
  const refused = (why: string): TraceSettings => ({ kind: 'refused', why });
  if (exporter !== 'otlp')
    return refused(`OTEL_TRACES_EXPORTER is "${exporter}", but dockbridge only supports otlp and none`);
  const protocol = first('OTEL_EXPORTER_OTLP_TRACES_PROTOCOL', 'OTEL_EXPORTER_OTLP_PROTOCOL');
  if (protocol !== undefined && protocol[1] !== PROTOCOL)
    return refused(
      `${protocol[0]} is "${protocol[1]}", but dockbridge only supports ${PROTOCOL}, which collectors usually accept on port 4318`,
    );
  const [name, value] = endpoint;
  const url = URL.canParse(value) ? new URL(value) : undefined;
  if (url === undefined || !['http:', 'https:'].includes(url.protocol))
    return refused(
      `${name} is not a URL that begins with http:// or https://, such as http://127.0.0.1:4318`,
    );
  // The log shows only this part of the URL. A URL may contain a password, and some services require a key in the query or the
  // path.
  return { kind: 'on', endpoint: url.origin };
}
