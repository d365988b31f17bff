import { parsePlan } from '../../../../src/migrate/apply/read-plan';
import { makePlan } from '../../../../src/migrate/plan/plan';
import { planJson } from '../../../../src/migrate/plan/plan-json';
import { nodeFacts } from '../plan/node-facts';

const plan = makePlan({
  facts: nodeFacts({
    daemonJson: '{"metrics-addr": "127.0.0.1:9323", "registry-mirrors": ["https://m.example"]}',
  }),
  findings: [],
  target: 'containerd',
  version: '1',
  accepted: [],
  keepDocker: false,
  originals: new Map(),
});

interface Loose {
  [key: string]: unknown;
  steps: Record<string, unknown>[];
  files: Record<string, unknown>[];
}
const json = () => JSON.parse(planJson(plan)) as Loose;
const parse = (change: (value: Loose) => void) => {
  const value = json();
  change(value);
  return () => parsePlan(JSON.stringify(value));
};

describe('parsePlan', () => {
  it('reads what plan writes', () => {
    const { steps, files, inventory, hostname } = parsePlan(planJson(plan));
    expect({ steps, inventory, hostname }).toEqual({
      steps: plan.steps,
      inventory: plan.inventory,
      hostname: plan.hostname,
    });
    expect(files.map(({ path }) => path)).toEqual(plan.files.map(({ path }) => path));
  });

  it('refuses what is no JSON, and another version', () => {
    expect(() => parsePlan('{')).toThrow('plan.json is not valid JSON');
    expect(() => parsePlan('null')).toThrow(
      'plan.json has version none, and this dockbridge reads version 1',
    );
    expect(parse((value) => (value.v = '1'))).toThrow('plan.json has version "1"');
  });

  it.each(Object.keys(json()).filter((key) => key !== 'v'))('names the missing key %s', (key) => {
    expect(parse((value) => Reflect.deleteProperty(value, key))).toThrow(`plan.json: ${key} is missing`);
  });

  it.each(Object.keys(json().steps[0]!))('names the missing key %s of a step', (key) => {
    expect(parse((value) => Reflect.deleteProperty(value.steps[1]!, key))).toThrow(
      `plan.json: steps[1].${key} is missing`,
    );
  });

  it.each(Object.keys(json().files[0]!))('names the missing key %s of a file', (key) => {
    expect(parse((value) => Reflect.deleteProperty(value.files[1]!, key))).toThrow(
      `plan.json: files[1].${key} is missing`,
    );
  });

  it.each<[string, (value: Loose) => void]>([
    ['steps[0].commands[0] is not a text', (value) => (value.steps[0]!.commands = [1])],
    ['steps[0].commands[0] is empty or has a NUL', (value) => (value.steps[0]!.commands = ['a\0b'])],
    ['steps[0].commands is not a list', (value) => (value.steps[0]!.commands = 'reboot')],
    ['steps[0].isManual is neither true nor false', (value) => (value.steps[0]!.isManual = 'no')],
    ['steps[0].limitSeconds is not a number of seconds', (value) => (value.steps[0]!.limitSeconds = -1)],
    ['steps[0].place is none of node, cluster', (value) => (value.steps[0]!.place = 'here')],
    ['steps[0].check[0] is not an object', (value) => (value.steps[0]!.check = ['true'])],
    ['steps[0].files names /etc/other', (value) => (value.steps[0]!.files = ['/etc/other'])],
    ['steps[0].extra is not known', (value) => (value.steps[0]!.extra = 1)],
    ['steps has backup twice', (value) => value.steps.push(value.steps[0]!)],
    ['files[0].source is outside', (value) => (value.files[0]!.source = 'files/../../x')],
    ['files[0].source is outside', (value) => (value.files[0]!.source = '/etc/shadow')],
    ['files[0].sha256After is not a SHA-256', (value) => (value.files[0]!.sha256After = 'x')],
    ['files[0].step names no step', (value) => (value.files[0]!.step = 'x')],
    ['files[0].mode is not an octal mode', (value) => (value.files[0]!.mode = '644')],
    ['inventory["/etc/a"] is not a SHA-256', (value) => (value.inventory = { '/etc/a': '' })],
    ['target is none of containerd, cri-o', (value) => (value.target = 'docker')],
  ])('says that %s', (message, change) => {
    expect(parse(change)).toThrow(`plan.json: ${message}`);
  });

  it('names a pattern that is no regular expression', () => {
    const broken = parse((value) => {
      (value.steps[0]!.check as Record<string, unknown>[])[0]!.pattern = '(';
    });
    expect(broken).toThrow('plan.json: steps[0].check[0].pattern is not a regular expression');
  });
});
