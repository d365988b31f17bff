import { join } from 'node:path';
import { compare } from '../../../src/harness/compare/compare';
import type { Comparison } from '../../../src/harness/compare/comparison';
import { rulesFor } from '../../../src/harness/compare/rules';
import { readRecorded } from '../../../src/harness/drive/recorded';
import { replay, type Replayed } from '../../../src/harness/drive/replay';
import { asText } from '../../../src/harness/json';
import { DESCRIPTORS } from '../../../src/proto/descriptors';
import type { JsonObject } from '../../../src/proto/fields';
import { HiddenValues, withHidden } from '../../../src/harness/drive/hidden-values';
import { FakeCri, type Spoil } from './support/fake-cri';
import { containerOf, podOf, recorded, type Call } from './support/replay-walk';

const PLACEHOLDER = 'hidden:0123456789abcdef';
const base64 = (text: string): string => Buffer.from(text).toString('base64');

/** The commands of its containers print the variable PASSWORD between other words, as does their termination message. */
const printing =
  (fake: FakeCri, print: (password: string) => string): Spoil =>
  ({ method }, answer) => {
    const [container] = [...fake.containers.values()];
    const { envs = [] } = (container?.config ?? {}) as { envs?: { value: string }[] };
    const password = Buffer.from(envs[0]?.value ?? '', 'base64').toString();
    if (method === 'ExecSync') return { ...answer, stdout: base64(print(password)) };
    if (method !== 'ContainerStatus') return answer;
    return { status: { ...(answer.status as JsonObject), message: print(password) } };
  };

async function withPassword(call: Call): Promise<void> {
  await call('PullImage', { image: { image: 'new:1' }, auth: { username: 'me', password: 'secret' } });
  const { pod_sandbox_id = '' } = await call('RunPodSandbox', { config: podOf('web') });
  const request = { pod_sandbox_id, sandbox_config: podOf('web'), config: containerOf('main') };
  const { container_id = '' } = await call('CreateContainer', request);
  await call('StartContainer', { container_id });
  await call('ExecSync', { container_id, cmd: ['show'] });
  await call('ContainerStatus', { container_id });
  await call('RemovePodSandbox', { pod_sandbox_id });
}

describe('a replay of a tape with hidden values', () => {
  let a: FakeCri;
  let b: FakeCri;
  beforeEach(async () => {
    a = await FakeCri.start('aaaa');
    b = await FakeCri.start('bbbb');
  });
  afterEach(async () => {
    await a.stop();
    await b.stop();
  });

  async function compared(
    printA: (password: string) => string,
    printB = printA,
  ): Promise<{ done: Replayed; comparison: Comparison; paths: readonly string[] }> {
    a.spoil = printing(a, printA);
    b.spoil = printing(b, printB);
    const tape = await recorded(a, withPassword);
    const done = await replay(tape, await readRecorded(tape), {
      ...{
        to: b.endpoint,
        speed: 'max',
        images: new Map(),
        waitMs: 500,
        scratch: join(b.directory, 'scratch'),
      },
      signal: new AbortController().signal,
    });
    const comparison = compare(done.recorded, done.live, rulesFor(done.recorded.runtime, done.live.runtime));
    const paths = comparison.calls.flatMap(({ differences }) => differences.map(({ path }) => path));
    return { done, comparison, paths };
  }

  it.each([
    { desc: 'a short output', print: (word: string) => `the word ${word} opens it\n` },
    { desc: 'nothing but the value', print: (word: string) => word },
    { desc: 'the value twice', print: (word: string) => `${word},${word}` },
    { desc: 'an output that the tape cuts', print: (word: string) => `${word}, ${'and so on '.repeat(50)}` },
    { desc: 'a value after the cut', print: (word: string) => `${'and so on '.repeat(50)} ${word}` },
  ])('shows no difference for $desc', async ({ print }) => {
    const { comparison, paths } = await compared(print);
    expect(paths).toEqual([]);
    // The variable, the user and the password of the pull, the output and the message.
    expect(comparison.hidden).toBe(5);
  });

  it.each([
    { desc: 'other words around the value', printB: (word: string) => `the word ${word} closes it\n` },
    { desc: 'another end', printB: (word: string) => `the word ${word} opens it` },
    { desc: 'no value', printB: () => 'the word opens it\n' },
  ])('shows a difference for $desc', async ({ printB }) => {
    const { paths } = await compared((word) => `the word ${word} opens it\n`, printB);
    expect(paths).toEqual(['ExecSync.stdout', 'ContainerStatus.status.message']);
  });

  it('counts the values, and pulls without the credentials', async () => {
    const { done } = await compared((word) => word);
    expect(done.notes).toContain(
      '2 hidden values of the tape were replaced, so containers may behave differently',
    );
    expect(b.calls.find(({ method }) => method === 'PullImage')?.request).toEqual({
      image: { image: 'new:1' },
    });
  });

  it('finds a value that the endpoint loses', async () => {
    const { done } = await compared((word) => word);
    const create = done.live.calls.find(({ method }) => method === 'CreateContainer')!;
    const { config } = create.request as { config: JsonObject };
    const calls = done.live.calls.map((call) =>
      call === create ? { ...call, request: { ...call.request, config: { ...config, envs: [] } } } : call,
    );
    const { recorded: was, live } = done;
    const { calls: found } = compare(was, { ...live, calls }, rulesFor(was.runtime, live.runtime));
    expect(found.flatMap(({ differences }) => differences.map(({ path }) => path))).toEqual([
      'CreateContainer.request.config.envs[PASSWORD].@item',
    ]);
  });
});

describe('HiddenValues', () => {
  it('does not take a text of the container for a placeholder', () => {
    const hidden = new HiddenValues();
    hidden.replaced('KeyValue', { key: 'A', value: 'hidden:ffffffffffffffff' });
    const [live, was] = [{ stdout: base64(`a ${PLACEHOLDER}`) }, { stdout: base64('a word') }];
    expect(hidden.inAnswer(live, was)).toEqual(live);
    hidden.replaced('KeyValue', { key: 'B', value: PLACEHOLDER });
    expect(hidden.inAnswer(live, was)).toEqual({ stdout: PLACEHOLDER });
  });

  it('leaves out hidden values for which no placeholder exists, and puts them back to compare requests', () => {
    const field = DESCRIPTORS.messages.LinuxContainerResources?.find(([, , type]) => type === 'int64')?.[1];
    const recordedRequest = { linux: { [asText(field)]: PLACEHOLDER, cpuset_cpus: PLACEHOLDER } };
    const sent = new HiddenValues().replaced('ContainerResources', recordedRequest);
    expect(sent).toEqual({ linux: { cpuset_cpus: PLACEHOLDER } });
    expect(withHidden(sent, recordedRequest)).toEqual(recordedRequest);
    expect(withHidden({ linux: {} }, { linux: { cpu_shares: '5' }, annotations: { a: 'b' } })).toEqual({
      linux: {},
    });
  });
});
