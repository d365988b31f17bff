import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { compareEffects } from '../../../../src/harness/effects/compare-effects';
import type { EffectValue, SeenRuntime } from '../../../../src/harness/effects/effect';
import type { Explanation } from '../../../../src/harness/effects/explanation';
import { KNOWN } from '../../../../src/harness/effects/known';
import { renderEffects } from '../../../../src/harness/effects/render-effects';

type Containers = Record<string, Record<string, EffectValue>>;

const seen = (name: string, version: string, containers: Containers): SeenRuntime => ({
  source: `unix:///run/${name}.sock`,
  runtime: { name, version },
  containers: Object.entries(containers).map(([container, effects]) => ({
    container,
    effects: new Map(Object.entries(effects)),
  })),
});

const HOSTNAME: Explanation = {
  effect: 'env HOST*',
  sides: [{ runtime: 'docker', value: /^"pod"$/ }, { runtime: 'containerd >= 2' }],
  because: 'Docker sets HOSTNAME.',
  advice: 'Set it in the pod.',
};
const DEVICES: Explanation = {
  effect: 'devices',
  sides: [{ runtime: 'docker', value: /^\/dev\/(core|fd)/ }, { runtime: 'containerd' }],
  because: 'Docker links them.',
};

describe('two runtimes', () => {
  it('are equal if all values are, and sets have no order', () => {
    const one = { 'p/c': { uid: '0', groups: ['1', '2'] } };
    const { rows, counts } = compareEffects(
      seen('docker', '29.0', one),
      seen('containerd', 'v2.1', { 'p/c': { uid: '0', groups: ['2', '1'] } }),
      [],
    );
    expect(rows.map(({ verdict }) => verdict)).toEqual(['same', 'same']);
    expect(counts).toEqual({ same: 2, explained: 0, differs: 0 });
  });

  it('differ in values, in rows of one side only, and in members of sets, with one row for equal containers', () => {
    const a = { uid: '0', umask: '0022', caps: ['A', 'B'] };
    const b = { uid: '1', caps: ['B', 'C', 'D'] };
    const { rows, counts } = compareEffects(
      seen('docker', '29.0', { 'p/c': a, 'p/d': a }),
      seen('containerd', 'v2.1', { 'p/c': b, 'p/d': b }),
      [],
    );
    const containers = ['p/c', 'p/d'];
    expect(rows).toEqual([
      { effect: 'caps', a: 'A', b: 'C, D', verdict: 'differs', containers },
      { effect: 'uid', a: '0', b: '1', verdict: 'differs', containers },
      { effect: 'umask', a: '0022', b: undefined, verdict: 'differs', containers },
    ]);
    expect(counts.differs).toBe(6);
  });

  it('differ in a container that only one of them starts', () => {
    const { rows } = compareEffects(
      seen('docker', '29.0', { 'p/c': { starts: 'refused: INVALID_ARGUMENT' } }),
      seen('containerd', 'v2.1', { 'p/c': { uid: '0' } }),
      [],
    );
    expect(rows.map(({ effect }) => effect)).toEqual(['starts', 'uid']);
  });
});

describe('an explanation', () => {
  const verdicts = (a: SeenRuntime, b: SeenRuntime, explanations: readonly Explanation[]) =>
    compareEffects(a, b, explanations).rows.map(({ effect, verdict }) => `${effect}: ${verdict}`);
  const docker = (value: string): SeenRuntime =>
    seen('docker', '20.10.24+dfsg1', { 'p/c': { 'env HOSTNAME': value } });
  const other = (version: string): SeenRuntime => seen('containerd', version, { 'p/c': { uid: '0' } });

  it('covers only its values and versions, whichever side is A', () => {
    const uid = 'uid: differs';
    expect(verdicts(docker('"pod"'), other('v2.1.4'), [HOSTNAME])).toEqual([uid, 'env HOSTNAME: explained']);
    expect(verdicts(other('2.1.4'), docker('"pod"'), [HOSTNAME])).toEqual([uid, 'env HOSTNAME: explained']);
    expect(verdicts(docker('"wrong"'), other('2.1.4'), [HOSTNAME])).toEqual(['env HOSTNAME: differs', uid]);
    expect(verdicts(docker('"pod"'), other('1.6.20'), [HOSTNAME])).toEqual(['env HOSTNAME: differs', uid]);
    const elsewhere = { ...HOSTNAME, container: 'other/*' };
    expect(verdicts(docker('"pod"'), other('2.1.4'), [elsewhere])).toEqual(['env HOSTNAME: differs', uid]);
  });

  it('removes its members from a set, and the others still differ', () => {
    const { rows } = compareEffects(
      seen('containerd', '2.1', { 'p/c': { devices: ['/dev/null', '/dev/odd'] } }),
      seen('docker', '29', {
        'p/c': { devices: ['/dev/null', '/dev/core link', '/dev/fd link', '/dev/more'] },
      }),
      [DEVICES],
    );
    expect(rows).toEqual([
      { effect: 'devices', a: '/dev/odd', b: '/dev/more', verdict: 'differs', containers: ['p/c'] },
      {
        effect: 'devices',
        a: undefined,
        b: '/dev/core link, /dev/fd link',
        verdict: 'explained',
        explanation: DEVICES,
        containers: ['p/c'],
      },
    ]);
  });

  it('with values for both sides does not cover a member that only one side has', () => {
    const both: Explanation = {
      ...DEVICES,
      sides: [
        { runtime: 'docker', value: /^old/ },
        { runtime: 'containerd', value: /^new/ },
      ],
    };
    const of = (name: string, devices: string[]): SeenRuntime => seen(name, '2', { 'p/c': { devices } });
    const found = (a: string[], b: string[]): string[] =>
      verdicts(of('docker', a), of('containerd', b), [both]);
    expect(found(['old'], ['new'])).toEqual(['devices: explained']);
    expect(found(['old'], [])).toEqual(['devices: differs']);
    expect(found([], ['new'])).toEqual(['devices: differs']);
  });

  it('of the cgroup controllers covers only those that both sides have', () => {
    const of = (name: string, flags: string, controllers: string[]): SeenRuntime =>
      seen(name, '2.1', {
        'privileged/c': {
          controllers: controllers.map((one) => `${one}: cgroup nodev,noexec,nosuid,${flags} slave`),
        },
      });
    const { rows } = compareEffects(
      of('docker', 'ro', ['cpu', 'pids']),
      of('containerd', 'rw', ['pids', 'memory']),
      KNOWN,
    );
    expect(rows.map(({ verdict, a, b }) => [verdict, a, b])).toEqual([
      ['differs', 'cpu: cgroup nodev,noexec,nosuid,ro slave', 'memory: cgroup nodev,noexec,nosuid,rw slave'],
      ['explained', 'pids: cgroup nodev,noexec,nosuid,ro slave', 'pids: cgroup nodev,noexec,nosuid,rw slave'],
    ]);
    const none = compareEffects(of('docker', 'ro', ['cpu', 'pids']), of('containerd', 'rw', []), KNOWN);
    expect(none.rows.map(({ verdict }) => verdict)).toEqual(['differs']);
  });

  it.each([
    ['explained', 'runc raises the soft limit of exec', ['1024 524288', '524288 524288', '1024 524288']],
    ['differs', 'the runtimes have other limits', ['1024 524288', '1048576 1048576', '1048576 1048576']],
    ['differs', 'exec has another hard limit', ['1024 524288', '64 64', '1024 524288']],
    ['differs', 'the container has another limit', ['1024 524288', '524288 524288', '524288 524288']],
  ])('of the limit of open files: %s if %s', (verdict, _, [set = '', exec = '', main = '']) => {
    const text = (limit: string): string => `soft ${limit.replace(' ', ' hard ')}`;
    const of = (name: string, ofMain: string, ofExec: string): SeenRuntime =>
      seen(name, '2.1', {
        'p/c': { 'limit open files': text(ofMain), 'exec.limit open files': text(ofExec) },
      });
    const [a, b] = [of('docker', set, set), of('containerd', main, exec)];
    expect(verdicts(a, b, KNOWN)).toContain(`exec.limit open files: ${verdict}`);
    expect(verdicts(b, a, KNOWN)).toContain(`exec.limit open files: ${verdict}`);
  });

  it('does not cover the same difference in the opposite direction', () => {
    const a = seen('docker', '29', { 'p/c': { devices: [] } });
    const b = seen('containerd', '2.1', { 'p/c': { devices: ['/dev/core link'] } });
    expect(verdicts(a, b, [DEVICES])).toEqual(['devices: differs']);
  });
});

it('the table names differences first, and gives advice', () => {
  const comparison = compareEffects(
    seen('docker', '29.0', { 'p/c': { uid: '0', 'env HOSTNAME': '"pod"', gid: '5', text: 'a\u001b[1m' } }),
    seen('containerd', '2.1', { 'p/c': { uid: '1', gid: '5', text: '' } }),
    [HOSTNAME],
  );
  expect(renderEffects(comparison)).toBe(`A: docker 29.0 at unix:///run/docker.sock
B: containerd 2.1 at unix:///run/containerd.sock

EFFECT        A      B        VERDICT        IN
text          a [1m  (empty)  differs        p/c
uid           0      1        differs        p/c
env HOSTNAME  "pod"  -        explained [1]  p/c

[1] Docker sets HOSTNAME.
    To do: Set it in the pod.

2 differences, 1 explained, 1 equal effect in 1 container
`);
  expect(renderEffects(comparison, true)).toContain('gid                           same           p/c\n');
});

it('each shipped explanation is a sentence, and limits the values of at least one side', () => {
  for (const { because, advice = 'None.', sides } of KNOWN) {
    expect(because).toMatch(/^(?:[A-Z]|containerd|dockerd|runc).*\.$/s);
    expect(advice).toMatch(/^(?:[A-Z]|containerd|dockerd|runc).*\.$/s);
    expect(sides.some(({ value }) => value !== undefined)).toBe(true);
  }
});

it('the documentation contains each shipped explanation word for word', async () => {
  const docs = await readFile(join(__dirname, '../../../../docs/harness-effects.md'), 'utf8');
  const missing = KNOWN.flatMap(({ because, advice = '–' }) => [because, advice]).filter(
    (text) => !docs.includes(`| ${text} `),
  );
  expect([...new Set(missing)]).toEqual([]);
});
