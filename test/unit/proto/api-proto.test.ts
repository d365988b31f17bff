import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  Enum,
  MapField,
  parse,
  Service,
  Type,
  type Field,
  type Namespace,
  type ReflectionObject,
} from 'protobufjs';
import { readTable, type Row } from './cri-table';

const PACKAGE = 'runtime.v1';

/**
 * Returns the rows of the API table as lines. A line states one fact, so descriptions can be compared as
 * sets.
 */
function tableLines(rows: Row[]): string[] {
  return rows.map(({ kind, parent, name, number, type, label, options }) =>
    [kind, parent, name, number, type, label, options].join(' ').trimEnd(),
  );
}

function options(object: ReflectionObject): string {
  return Object.entries(object.options ?? {})
    .map(([name, value]) => `${name}=${String(value)}`)
    .join(',');
}

function label(field: Field): string {
  if (field.partOf) return 'oneof or optional';
  if (field.required) return 'required';
  if (field.map) return 'map';
  return field.repeated ? 'repeated' : 'singular';
}

function fieldLine(parent: string, field: Field): string {
  const type = field instanceof MapField ? `map<${field.keyType},${field.type}>` : field.type;
  return `field ${parent} ${field.name} ${String(field.id)} ${type} ${label(field)} ${options(field)}`.trimEnd();
}

function enumLines(name: string, { values, valuesOptions }: Enum): string[] {
  expect(Object.values(valuesOptions ?? {}).filter(Boolean)).toEqual([]);
  return [
    `enum ${name}`,
    ...Object.entries(values).map(([key, number]) => `enum_value ${name} ${key} ${String(number)}`),
  ];
}

function serviceLines(service: Service): string[] {
  return service.methodsArray.map((method) => {
    const streams = `client_stream=${method.requestStream ? 'yes' : 'no'},server_stream=${method.responseStream ? 'yes' : 'no'}`;
    return `method ${service.name} ${method.name}  ${method.requestType} ${method.responseType} ${streams}`;
  });
}

function linesOf(scope: Namespace, prefix = ''): string[] {
  return scope.nestedArray.flatMap((object) => {
    const name = prefix + object.name;
    if (object instanceof Enum) return enumLines(name, object);
    if (object instanceof Service) return serviceLines(object);
    if (object instanceof Type)
      return [
        `message ${name}`,
        ...object.fieldsArray.map((field) => fieldLine(name, field)),
        ...linesOf(object, `${name}.`),
      ];
    throw new Error(`api.proto has something the table cannot describe: ${object.fullName}`);
  });
}

describe('proto/runtime/v1/api.proto', () => {
  const source = readFileSync(join(__dirname, '../../../proto/runtime/v1/api.proto'), 'utf8');
  const parsed = parse(source, { keepCase: true });
  const found = linesOf(parsed.root.lookup(PACKAGE) as Namespace);
  const wanted = tableLines(readTable());
  const count = (kind: string) => found.filter((line) => line.startsWith(`${kind} `)).length;

  it('is proto3, package runtime.v1, without imports', () => {
    expect(parsed.package).toBe(PACKAGE);
    expect(source).toMatch(/^syntax = "proto3";$/m);
    expect(parsed.imports ?? []).toEqual([]);
  });

  it('contains every row of the table', () => {
    const have = new Set(found);
    expect(wanted.filter((line) => !have.has(line))).toEqual([]);
  });

  it('contains nothing beyond the table', () => {
    const known = new Set(wanted);
    expect(found.filter((line) => !known.has(line))).toEqual([]);
    expect(found).toHaveLength(wanted.length);
  });

  it.each([
    ['method', 43],
    ['message', 175],
    ['enum', 11],
    ['field', 478],
    ['enum_value', 95],
  ])('describes every %s: %i', (kind, total) => {
    expect(count(kind)).toBe(total);
  });
});
