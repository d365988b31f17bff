import { readTraceSettings } from '../../../src/tracing/trace-settings';

const ENDPOINT = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:4318' };

it.each([
  ['nothing', {}],
  ['an empty endpoint', { OTEL_EXPORTER_OTLP_ENDPOINT: ' ' }],
  ['only a service name', { OTEL_SERVICE_NAME: 'x', OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' }],
  ['a disabled SDK', { ...ENDPOINT, OTEL_SDK_DISABLED: 'TRUE' }],
  ['no exporter for traces', { ...ENDPOINT, OTEL_TRACES_EXPORTER: 'none' }],
  ['another kind of signal', { OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: 'http://127.0.0.1:4318' }],
])('tracing is off with %s', (_what, environment) => {
  expect(readTraceSettings(environment)).toEqual({ kind: 'off' });
});

it.each([
  ['an endpoint', ENDPOINT, 'http://127.0.0.1:4318'],
  ['an SDK that is not disabled', { ...ENDPOINT, OTEL_SDK_DISABLED: 'false' }, 'http://127.0.0.1:4318'],
  [
    'the built-in protocol',
    { ...ENDPOINT, OTEL_EXPORTER_OTLP_PROTOCOL: 'http/protobuf' },
    'http://127.0.0.1:4318',
  ],
  [
    'an endpoint for traces, which has priority and may contain secrets',
    {
      OTEL_EXPORTER_OTLP_ENDPOINT: 'nonsense',
      OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'https://user:secret@collector.example/in?key=secret',
    },
    'https://collector.example',
  ],
  [
    'a protocol for traces, which has priority',
    { ...ENDPOINT, OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc', OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: 'http/protobuf' },
    'http://127.0.0.1:4318',
  ],
])('tracing is on with %s', (_what, environment, endpoint) => {
  expect(readTraceSettings(environment)).toEqual({ kind: 'on', endpoint });
});

it.each([
  [
    'grpc',
    { ...ENDPOINT, OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' },
    'OTEL_EXPORTER_OTLP_PROTOCOL is "grpc", but dockbridge only supports http/protobuf, which collectors usually accept on port 4318',
  ],
  [
    'http/json for traces',
    { ...ENDPOINT, OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: 'http/json' },
    'OTEL_EXPORTER_OTLP_TRACES_PROTOCOL is "http/json", but dockbridge only supports http/protobuf, which collectors usually accept on port 4318',
  ],
  [
    'another exporter',
    { ...ENDPOINT, OTEL_TRACES_EXPORTER: 'zipkin' },
    'OTEL_TRACES_EXPORTER is "zipkin", but dockbridge only supports otlp and none',
  ],
  [
    "kubelet's form of an endpoint",
    { OTEL_EXPORTER_OTLP_ENDPOINT: 'localhost:4317' },
    'OTEL_EXPORTER_OTLP_ENDPOINT is not a URL that begins with http:// or https://, such as http://127.0.0.1:4318',
  ],
  [
    'an address without a scheme',
    { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: '10.0.0.5:4318' },
    'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT is not a URL that begins with http:// or https://, such as http://127.0.0.1:4318',
  ],
])('the settings refuse %s with a reason', (_what, environment, why) => {
  expect(readTraceSettings(environment)).toEqual({ kind: 'refused', why });
});
