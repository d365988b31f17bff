import type { ComparedCall, Comparison, RuleUse } from '../../../src/harness/compare/comparison';
import { compiled } from '../../../src/harness/compare/rules';
import { renderJson } from '../../../src/harness/report/json-report';
import { renderJunit } from '../../../src/harness/report/junit';
import { renderText } from '../../../src/harness/report/text';

const IMAGE_ID = { path: 'ContainerStatus.image_id', as: 'ignore', because: 'it is <not> told' } as const;
const SIZE = { path: 'Image.size', as: 'ignore', because: 'x' } as const;
const PINNED = { path: 'Image.pinned', as: 'ignore', because: 'x' } as const;
const RULES: RuleUse[] = [
  ...compiled([IMAGE_ID, SIZE, PINNED, PINNED], 'my.yaml').map((rule, at) => ({
    ...{ rule, isActive: at !== 3, met: at === 2 ? 0 : 3, needed: at === 0 ? 1 : 0 },
  })),
  ...compiled([IMAGE_ID, SIZE, PINNED, PINNED], 'containerd').map((rule, at) => ({
    ...{ rule, isActive: at !== 1, met: 0, needed: at === 0 ? 1 : 0 },
  })),
  ...compiled([SIZE], 'base').map((rule) => ({ rule, isActive: true, met: 0, needed: 0 })),
];
const CALLS: ComparedCall[] = [
  {
    ...{
      method: 'RunPodSandbox',
      pod: 'default/web-0',
      occurrence: 0,
      differences: [],
      allowed: [],
      notes: [],
    },
    ...{
      a: { n: 1, t: 0.5, ms: 10, calls: 1, status: 'OK' },
      b: { n: 1, t: 0.25, ms: 20, calls: 1, status: 'OK' },
    },
  },
  {
    ...{ method: 'ContainerStatus', pod: 'default/web-0', container: 'main', occurrence: 1, allowed: [] },
    ...{
      a: { n: 2, t: 1, ms: 1, calls: 3, status: 'OK' },
      b: { n: 2, t: 1, ms: 1500, calls: 1, status: 'OK' },
    },
    differences: [
      {
        ...{
          path: 'ContainerStatus.status.message',
          a: 'a\u001b[31m&"<]]>',
          b: undefined,
          why: 'they are not equal',
        },
        near: { rule: 'my.yaml rules[0] (*.message)', why: 'applies to a different key' },
      },
      { path: 'ContainerStatus.status.exit_code', a: 1, b: 2, why: 'they are not equal' },
    ],
    notes: ['only A reported the state \u009b'],
  },
  {
    ...{
      method: 'ContainerStatus',
      pod: 'default/web-0',
      container: 'side',
      occurrence: 0,
      differences: [],
      notes: [],
    },
    ...{ b: { n: 2, t: 1, ms: 0, calls: 1, status: 'OK' } },
    allowed: [
      {
        ...{ path: 'ContainerStatus.status.image_id', a: 'x', b: '', rule: 'containerd rules[0]' },
        because: 'it is <not> told',
      },
    ],
  },
];
const COMPARISON: Comparison = {
  a: { source: 'a.tape', runtime: { name: 'docker', version: '29' }, calls: 4 },
  b: { source: 'b&.tape', runtime: { name: '', version: '' }, calls: 3 },
  ...{ calls: CALLS, differences: 2, allowed: 1, hidden: 4 },
  rules: RULES,
};

it('the text report says what differs, and which rules had no effect', () => {
  expect(renderText(COMPARISON)).toBe(`A: a.tape (docker 29), 4 calls
B: b&.tape (unknown runtime), 3 calls

ContainerStatus default/web-0 main #2  (A: call 2 at 1.000 s and 2 more, B: call 2 at 1.000 s)
  ContainerStatus.status.message: they are not equal
    A "a\\u001b[31m&\\"<]]>"
    B nothing
    my.yaml rules[0] (*.message) applies to a different key
  ContainerStatus.status.exit_code: they are not equal
    A 1
    B 2

Allowed:
  ContainerStatus.status.image_id, by containerd rules[0]: it is <not> told

Notes:
  ContainerStatus default/web-0 main #2: only A reported the state ${' '}

Rules that were not needed:
  my.yaml rules[1] (Image.size) matched 3 values but was not needed for any of them
  my.yaml rules[2] (Image.pinned) matched nothing
  my.yaml rules[3] (Image.pinned) does not apply to these runtimes
  rules for containerd: Image.pinned

2 differences in 1 of 3 compared calls, 1 allowed by rules, 4 values are hidden on a tape and could not be compared
`);
});

it('the JSON report is complete, and has no control characters', () => {
  const json = renderJson(COMPARISON);
  expect(json.replaceAll('\n', '')).not.toMatch(/\p{Cc}/u);
  const { calls, rules, ...rest } = JSON.parse(json) as Record<string, unknown>;
  expect(calls).toEqual(JSON.parse(JSON.stringify(CALLS)));
  expect(rest).toMatchObject({ differences: 2, allowed: 1, hidden: 4 });
  expect((rules as unknown[])[1]).toEqual({
    ...{ rule: 'my.yaml rules[1]', path: 'Image.size', as: 'ignore', because: 'x' },
    ...{ isActive: true, met: 3, needed: 0 },
  });
});

it('the JUnit report has a suite for each method and a case for each call, and is valid XML', () => {
  const xml = renderJunit(COMPARISON);
  expect(xml.replaceAll('\n', '')).not.toMatch(/\p{Cc}/u);
  expect(xml).toContain(
    '<testsuite name="ContainerStatus" tests="2" failures="1" errors="0" skipped="1" time="1.500">',
  );
  expect(xml).toContain('<property name="a.runtime_version" value="29"/>');
  expect(xml).toContain(
    '<testcase classname="RunPodSandbox" name="RunPodSandbox default/web-0" time="0.020"/>',
  );
  expect(xml).toContain('message="ContainerStatus.status.message: they are not equal, and 1 more"');
  expect(xml).toContain(
    'A: "a\\u001b[31m&amp;\\"&lt;]]&gt;"\nB: nothing\nmy.yaml rules[0] (*.message) applies to a different key\n',
  );
  expect(xml).toContain('<skipped message="ContainerStatus.status.image_id: it is &lt;not&gt; told"/>');
  expect(xml).toContain('<system-out>only A reported the state \ufffd</system-out>');
  expect(xml).toContain('b&amp;.tape');
});

it('the JUnit report keeps line ends in attributes, and drops half a surrogate pair', () => {
  const [call] = CALLS;
  const strange = { ...call!, pod: 'a\n\t\ud800"\u{1f600}\u0000' };
  expect(renderJunit({ ...COMPARISON, calls: [strange] })).toContain(
    'name="RunPodSandbox a&#10;&#9;\ufffd&quot;\u{1f600}\ufffd"',
  );
});
