import { join } from 'node:path';
import { compare } from '../../../src/harness/compare/compare';
import { rulesFor } from '../../../src/harness/compare/rules';
import { readRecorded } from '../../../src/harness/drive/recorded';
import { replay } from '../../../src/harness/drive/replay';
import { FakeCri } from './support/fake-cri';
import { containerOf, podOf, recorded } from './support/replay-walk';

it('a replay compares lists of images whose containers name them', async () => {
  const [a, b] = [await FakeCri.start('aaaa'), await FakeCri.start('bbbb')];
  try {
    a.images.set('their:1', `sha256:${'1'.repeat(64)}`);
    b.images.set('busybox:1', `sha256:${'2'.repeat(64)}`).set('our:1', `sha256:${'3'.repeat(64)}`);
    const image = { image: 'busybox:1', user_specified_image: 'busybox:1' };
    const tape = await recorded(a, async (call) => {
      const { pod_sandbox_id = '' } = await call('RunPodSandbox', { config: podOf('web') });
      const config = containerOf('main', { image });
      await call('CreateContainer', { pod_sandbox_id, sandbox_config: podOf('web'), config });
      await call('ListImages', {});
      await call('RemovePodSandbox', { pod_sandbox_id });
    });
    const { recorded: was, live } = await replay(tape, await readRecorded(tape), {
      ...{
        to: b.endpoint,
        speed: 'max',
        images: new Map(),
        waitMs: 500,
        scratch: join(b.directory, 'scratch'),
      },
      signal: new AbortController().signal,
    });
    const listed = [was, live].map(({ calls }) => {
      const response = calls.find(({ method }) => method === 'ListImages')?.response;
      return (response?.images as { id: string }[] | undefined)?.map(({ id }) => id.slice(0, 8));
    });
    expect(listed).toEqual([['sha256:b'], ['sha256:2']]);
    expect(compare(was, live, rulesFor(was.runtime, live.runtime)).differences).toBe(0);
  } finally {
    await a.stop();
    await b.stop();
  }
});
