import Long from 'long';
import { cri } from '../../../src/proto';
import { DESCRIPTORS } from '../../../src/proto/descriptors';
import { toJson, UNKNOWN, type Place } from '../../../src/proto/fields';
import { IMAGE_CODECS, RUNTIME_CODECS } from '../../../src/proto/methods';

it('the descriptors have all methods of both services', () => {
  const methods = (service: string): string[] => Object.keys(DESCRIPTORS.services[service] ?? {}).sort();
  expect(methods('RuntimeService')).toEqual(Object.keys(RUNTIME_CODECS).sort());
  expect(methods('ImageService')).toEqual(Object.keys(IMAGE_CODECS).sort());
});

it('every type that the descriptors name can be read', () => {
  const scalars = ['string', 'bytes', 'bool', 'int32', 'uint32', 'int64', 'uint64', 'double'];
  const types = Object.values(DESCRIPTORS.messages).flatMap((rows) => rows.map(([, , type]) => type));
  const strange = types.filter(
    (type) => !scalars.includes(type) && !(type in DESCRIPTORS.messages) && !(type in DESCRIPTORS.enums),
  );
  expect(strange).toEqual([]);
});

it('a message becomes proto3 JSON', () => {
  const bytes = cri.CreateContainerRequest.encode({
    pod_sandbox_id: 'pod',
    config: {
      metadata: { name: 'main', attempt: 2 },
      envs: [
        { key: 'A', value: Buffer.from('b') },
        { key: 'EMPTY', value: Buffer.alloc(0) },
      ],
      labels: { one: '1', __proto__x: '2', none: '' },
      tty: true,
      stdin: false,
      mounts: [
        { container_path: '/a', propagation: 1 },
        { container_path: '/b', propagation: 99 as number as cri.MountPropagation },
      ],
      linux: {
        resources: { cpu_period: Long.fromString('9007199254740993'), oom_score_adj: -998 },
        security_context: { supplemental_groups: [1, 2, 3], run_as_user: { value: 0 } },
      },
    },
  }).finish();
  expect(toJson('CreateContainerRequest', bytes)).toEqual({
    pod_sandbox_id: 'pod',
    config: {
      metadata: { name: 'main', attempt: 2 },
      envs: [{ key: 'A', value: 'Yg==' }, { key: 'EMPTY' }],
      labels: { one: '1', __proto__x: '2', none: '' },
      tty: true,
      mounts: [
        { container_path: '/a', propagation: 'PROPAGATION_HOST_TO_CONTAINER' },
        { container_path: '/b', propagation: 99 as number as cri.MountPropagation },
      ],
      linux: {
        resources: { cpu_period: '9007199254740993', oom_score_adj: '-998' },
        security_context: { supplemental_groups: ['1', '2', '3'], run_as_user: {} },
      },
    },
  });
});

it('a label may be called __proto__', () => {
  const bytes = cri.PodSandboxFilter.encode({
    label_selector: Object.fromEntries([['__proto__', 'x']]),
  }).finish();
  const { label_selector } = toJson('PodSandboxFilter', bytes);
  expect(Object.entries(label_selector as object)).toEqual([['__proto__', 'x']]);
});

it('fields of a later proto are kept', () => {
  const known = cri.VersionRequest.encode({ version: 'v1' }).finish();
  // Field 99 of type varint, and field 1 with another type than in the proto.
  const bytes = Buffer.concat([known, Buffer.from([0x98, 0x06, 0x07]), Buffer.from([0x08, 0x01])]);
  expect(toJson('VersionRequest', bytes)).toEqual({ version: 'v1', [UNKNOWN]: ['mAYH', 'CAE='] });
});

it('many fields of a later proto, and the numbers of a packed list, take linear time', () => {
  const count = 200_000;
  const unknown = Buffer.concat(Array.from({ length: count }, () => Buffer.from([0x98, 0x06, 0x07])));
  const began = performance.now();
  expect(toJson('VersionRequest', unknown)[UNKNOWN]).toHaveLength(count);
  const groups = Array.from({ length: count }, (_, at) => at + 1);
  const packed = cri.LinuxContainerSecurityContext.encode({ supplemental_groups: groups }).finish();
  expect(toJson('LinuxContainerSecurityContext', packed).supplemental_groups).toHaveLength(count);
  // Copying the list for each value would take minutes.
  expect(performance.now() - began).toBeLessThan(10_000);
});

it('a rewrite receives each scalar with its path', () => {
  const seen: Place[] = [];
  const bytes = cri.PullImageRequest.encode({
    image: { image: 'a', annotations: { k: 'v' } },
    auth: { password: 'p' },
  }).finish();
  const json = toJson('PullImageRequest', bytes, {
    rewrite: (value, place) => {
      seen.push(place);
      return value === 'p' ? 'hidden' : undefined;
    },
  });
  expect(json).toEqual({ image: { image: 'a', annotations: { k: 'v' } }, auth: { password: 'hidden' } });
  expect(seen.map(({ message, field: [, name], key }) => [message, name, key])).toEqual([
    ['ImageSpec', 'image', undefined],
    ['ImageSpec', 'annotations', 'k'],
    ['AuthConfig', 'password', undefined],
  ]);
});

it.each([
  ['a truncated field', [0x0a, 0x05, 0x61]],
  ['a truncated tag', [0x80]],
])('%s causes an error', (_, bytes) => {
  expect(() => toJson('VersionRequest', Buffer.from(bytes))).toThrow();
});
