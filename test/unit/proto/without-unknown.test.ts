import { UNKNOWN } from '../../../src/proto/fields';
import { withoutUnknown } from '../../../src/proto/without-unknown';

it('withoutUnknown removes unknown fields at any depth, and keeps a label called @unknown', () => {
  const unknown = { [UNKNOWN]: ['AAAA'] };
  let dropped = 0;
  const config = {
    ...{ ...unknown, labels: unknown, metadata: { name: 'a', ...unknown } },
    port_mappings: [{ host_port: 1, ...unknown }, 'no message'],
    linux: { security_context: { namespace_options: { ...unknown } } },
  };
  expect(withoutUnknown('RunPodSandboxRequest', { config, other: unknown }, () => dropped++)).toEqual({
    config: {
      ...{ labels: unknown, metadata: { name: 'a' } },
      port_mappings: [{ host_port: 1 }, 'no message'],
      linux: { security_context: { namespace_options: {} } },
    },
    other: unknown,
  });
  expect(dropped).toBe(4);
});
