import { compare } from '../../../../src/harness/compare/compare';
import { rulesFor } from '../../../../src/harness/compare/rules';
import type { JsonObject } from '../../../../src/proto/fields';
import {
  allowedAnswers,
  answerFindings,
  handlerFindings,
  imageFindings,
  readinessFindings,
} from '../../../../src/migrate/verify/static-findings';
import type { ImageAnswer, StaticSide, UsedImage } from '../../../../src/migrate/verify/static-side';

const DIGEST = `sha256:${'a'.repeat(64)}`;
const OTHER = `sha256:${'b'.repeat(64)}`;

function side(more: Partial<StaticSide> = {}): StaticSide {
  return {
    observation: { source: 'unix:///x', runtime: { name: 'docker', version: '28.5.2' }, calls: [] },
    conditions: ['RuntimeReady', 'NetworkReady'].map((type) => ({ type, isMet: true, why: '' })),
    handlers: ['', 'runc'],
    usedHandlers: new Map(),
    ...more,
  };
}

function used(more: Partial<UsedImage> = {}): UsedImage {
  return { name: 'shop/web:1', id: DIGEST, digests: [], containers: ['shop/web-0/web'], ...more };
}

function onB(more: Partial<ImageAnswer> = {}): ReadonlyMap<string, ImageAnswer> {
  return new Map([['shop/web:1', { name: 'shop/web:1', id: DIGEST, digests: [], ...more }]]);
}

describe('readinessFindings', () => {
  it('finds nothing when B can start pods', () => {
    expect(readinessFindings(side())).toEqual([]);
  });

  it('forbids the move when a condition is false or missing, with the reason of the runtime', () => {
    const [found] = readinessFindings(
      side({ conditions: [{ type: 'NetworkReady', isMet: false, why: 'NoCNI: no config' }] }),
    );
    expect(found).toMatchObject({
      id: 'verify-ready',
      severity: 'block',
      evidence: [
        { where: 'RuntimeReady on B', what: 'not reported' },
        { where: 'NetworkReady on B', what: 'NoCNI: no config' },
      ],
    });
    expect(found?.summary).toContain('RuntimeReady and NetworkReady');
  });
});

describe('handlerFindings', () => {
  const a = side({
    usedHandlers: new Map([
      ['', ['kube-system/dns']],
      ['gvisor', ['shop/a', 'shop/b', 'shop/c', 'shop/d']],
    ]),
  });

  it('forbids the move when pods use a handler that B lacks, and names the pods', () => {
    expect(handlerFindings(a, side())).toMatchObject([
      {
        id: 'verify-handler',
        severity: 'block',
        evidence: [{ where: 'handler gvisor', what: 'shop/a, shop/b, shop/c and 1 more' }],
      },
    ]);
  });

  it('accepts a handler that B has, and a B that names no handlers', () => {
    expect(handlerFindings(a, side({ handlers: ['', 'gvisor'] }))).toEqual([]);
    expect(handlerFindings(a, side({ handlers: [] }))).toEqual([]);
  });
});

describe('imageFindings', () => {
  const found = (image: UsedImage, answers: ReadonlyMap<string, ImageAnswer>) =>
    imageFindings([image], answers, 'unix:///b').map(({ id }) => id);

  it('accepts the same id, also without its algorithm, and the same manifest under another id', () => {
    expect(found(used(), onB())).toEqual([]);
    expect(found(used(), onB({ id: 'a'.repeat(64) }))).toEqual([]);
    expect(found(used(), onB({ id: OTHER, digests: [DIGEST] }))).toEqual([]);
    expect(found(used({ id: OTHER, digests: [DIGEST] }), onB({ digests: [DIGEST] }))).toEqual([]);
  });

  it('finds an image that B lacks, and says how to carry it', () => {
    const [missing] = imageFindings([used()], new Map(), 'unix:///b');
    expect(missing).toMatchObject({
      id: 'verify-image',
      severity: 'change',
      evidence: [{ where: 'image shop/web:1', what: 'shop/web-0/web' }],
    });
    expect(missing?.advice).toContain('dockbridge migrate images --to unix:///b');
  });

  it('finds a name that leads to another image', () => {
    expect(found(used(), onB({ id: OTHER }))).toEqual(['verify-other-image']);
  });
});

describe('answerFindings', () => {
  const READY = { type: 'NetworkReady', status: true };
  const answers = {
    Version: {
      version: '0.1.0',
      runtime_name: 'docker',
      runtime_version: '28.5.2',
      runtime_api_version: 'v1',
    },
    Status: { status: { conditions: [READY] }, features: { supplemental_groups_policy: true } },
    RuntimeConfig: { linux: { cgroup_driver: 'SYSTEMD' } },
    ImageFsInfo: {},
  };
  const compared = (b: Readonly<Record<string, JsonObject>>) => {
    const observed = (name: string, of: Readonly<Record<string, JsonObject>>) => ({
      source: `unix:///${name}`,
      runtime: { name, version: '2.1.0' },
      calls: Object.entries(of).map(([method, response], n) => ({
        ...{ n, t: n, ms: 1, method, request: {}, status: 'OK', response },
      })),
    });
    const [left, right] = [observed('docker', answers), observed('containerd', { ...answers, ...b })];
    return compare(left, right, rulesFor(left.runtime, right.runtime));
  };

  it('finds nothing in equal answers', () => {
    expect(answerFindings(compared({}))).toEqual([]);
  });

  it.each<[string, Readonly<Record<string, JsonObject>>, string, string]>([
    [
      'another cgroup driver',
      { RuntimeConfig: { linux: { cgroup_driver: 'CGROUPFS' } } },
      'verify-cgroup-driver',
      'block',
    ],
    ['a missing feature', { Status: { status: { conditions: [READY] } } }, 'verify-features', 'change'],
    [
      'another version of the API',
      { Version: { ...answers.Version, version: '0.2.0' } },
      'verify-answers',
      'review',
    ],
  ])('finds %s', (_, b, id, severity) => {
    const found = answerFindings(compared(b));
    expect(found.map((one) => [one.id, one.severity])).toEqual([[id, severity]]);
    expect(found[0]?.evidence[0]?.what).toMatch(/^A: .*; B: /);
  });

  it('leaves readiness to its own finding', () => {
    const Status = { ...answers.Status, status: { conditions: [{ ...READY, status: false }] } };
    expect(answerFindings(compared({ Status }))).toEqual([]);
  });

  it('lists what a rule allows with its reason', () => {
    const conditions = [READY, { type: 'ContainerdHasNoDeprecationWarnings', status: true }];
    const { calls, differences } = compared({ Status: { ...answers.Status, status: { conditions } } });
    expect(differences).toBe(0);
    expect(allowedAnswers(calls)).toEqual([
      {
        because: expect.stringContaining('containerd reports deprecations') as string,
        evidence: {
          where: expect.stringContaining('ContainerdHasNoDeprecationWarnings') as string,
          what: expect.stringMatching(/^A: -; B: /) as string,
        },
      },
    ]);
  });
});
