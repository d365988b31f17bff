import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { judge } from '../../../../src/migrate/apply/judge';
import { KUBELET_FILES } from './node-facts';
import { planFor, stepOf } from './plan-for';

const shell = promisify(execFile);

describe('all steps', () => {
  const daemonJson = (containerd: string) =>
    JSON.stringify({
      'metrics-addr': '127.0.0.1:9323',
      'registry-mirrors': ['https://m.example'],
      containerd,
    });
  const plans = (['containerd', 'cri-o'] as const).flatMap((target) =>
    ['', '/run/containerd/containerd.sock'].map((socket) =>
      planFor(
        {
          daemonJson: daemonJson(socket),
          files: { ...KUBELET_FILES, '/etc/containerd/config.toml': 'version = 3\noom_score = 1\n' },
          directories: { '/etc/docker/certs.d': ["it's.example/ca.crt"] },
        },
        target,
      ),
    ),
  );

  it('have commands that bash understands', async () => {
    const commands = plans.flatMap(({ steps }) =>
      steps.flatMap((one) => [
        ...[...one.commands, ...one.undo],
        ...[...one.check, ...one.undoCheck].map(({ command }) => command),
      ]),
    );
    expect(commands.length).toBeGreaterThan(100);
    await shell('bash', ['-n', '-c', commands.join('\n')]);
  });

  it('take back each file that they put in its place', () => {
    for (const plan of plans)
      for (const { path, step: id } of plan.files) {
        const { commands, undo } = stepOf(plan, id);
        expect(commands.filter((command) => command.endsWith(` ${path}`))).toHaveLength(1);
        expect(
          undo.filter((command) => /^(rm -f|tar )/.test(command) && command.includes(path.slice(1))),
        ).toHaveLength(1);
      }
  });
});

describe('the step install', () => {
  const check = stepOf(planFor(), 'install').check[0]!;
  const judged = (output: string) => judge(check, { exitCode: 0, problem: '', output }) === '';

  it.each([
    ['containerd github.com/containerd/containerd/v2 2.1.4~ds1 2.1.4~ds1-1\n', true],
    ['containerd github.com/containerd/containerd/v2 v2.2.0 1c4457e00facac03\n', true],
    ['containerd containerd.io v2.10.1 abc\n', true],
    ['containerd github.com/containerd/containerd/v2 2.0.5 abc\n', false],
    ['containerd containerd.io 1.7.25 bcc810d6b9066471\n', false],
    ['containerd github.com/containerd/containerd 1.6.20~ds1 1.6.20~ds1-1+b1\n', false],
    ['bash: containerd: command not found\n', false],
  ])('judges %s as %s', (output, isNewEnough) => expect(judged(output)).toBe(isNewEnough));

  it('is left out when the check succeeds, and may be repeated', () => {
    expect(stepOf(planFor(), 'install')).toMatchObject({
      isDoneWhenChecked: true,
      commands: [expect.stringMatching(/^apt-get install --yes --no-remove .* containerd$/) as string],
    });
  });
});

describe('the steps that are left to a person', () => {
  it('are the last ones: the reboot and the removal of Docker', () => {
    for (const keepDocker of [false, true]) {
      const { steps } = planFor({}, 'containerd', { keepDocker });
      expect(steps.slice(-2).map(({ id }) => id)).toEqual(['reboot', 'clean-up']);
      expect(steps.map(({ isManual }) => isManual).lastIndexOf(false)).toBe(steps.length - 3);
      expect(steps.filter(({ isManual }) => isManual)).toHaveLength(2);
    }
  });
});

describe('the kubelet', () => {
  it('is disabled as long as it has no runtime, forward and backward', () => {
    const enabled: boolean[] = [];
    const note = (commands: readonly string[]) => {
      for (const command of commands)
        if (/^systemctl (enable|disable) .*kubelet/.test(command)) enabled.push(command.includes('enable'));
    };
    const { steps } = planFor();
    for (const { commands } of steps) note(commands);
    for (const { undo } of [...steps].reverse()) note(undo);
    expect(enabled).toEqual([false, true, false, true]);
    const ids = steps.map(({ id }) => id);
    const order = ['stop-kubelet', 'remove-pods', 'stop-engine', 'edit-kubelet', 'start-kubelet'];
    expect(ids.filter((id) => order.includes(id))).toEqual(order);
  });
});

describe('the units that stop', () => {
  const check = stepOf(planFor(), 'stop-engine').check[0]!;
  const judged = (output: string) => judge(check, { exitCode: 3, problem: '', output }) === '';

  it('are each inactive, failed or unknown afterwards', () => {
    expect(check.command).toBe(
      'systemctl is-active cri-docker.service cri-docker.socket docker.service docker.socket',
    );
    expect(judged('inactive\nunknown\nfailed\ninactive\n')).toBe(true);
    expect(judged('inactive\ninactive\ninactive\n')).toBe(false);
    expect(judged('inactive\ninactive\nactive\ninactive\n')).toBe(false);
    expect(judged('deactivating\ninactive\ninactive\ninactive\n')).toBe(false);
  });
});
