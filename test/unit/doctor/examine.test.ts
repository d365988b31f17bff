import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { faultLine } from '../../../src/config/fault';
import { examine, once, type Check, type Sources } from '../../../src/doctor/check';
import { exitCodeOf, ok, renderDoctorReport, reportOf, warn, type Finding } from '../../../src/doctor/report';
import { chooseDaemon, servingDaemons } from '../../../src/doctor/serving';
import type { NodeProcess } from '../../../src/node/process/node-processes';

const NOTHING = {} as Sources;
const check = (id: string, run: () => Promise<readonly Finding[]>): Check => ({ id, run });

describe('checks', () => {
  it('that fail or hang affect only their own lines', async () => {
    const lines = await examine(
      [
        check('well', () => Promise.resolve([ok('fine')])),
        check('broken', () => Promise.reject(new Error('no such thing'))),
        check('hanging', () => new Promise(() => undefined)),
      ],
      NOTHING,
      20,
    );
    expect(lines).toEqual([
      { check: 'well', level: 'ok', found: 'fine', cure: '', link: 'docs/troubleshooting.md#well' },
      expect.objectContaining({ check: 'broken', level: 'warn', found: 'not checked: no such thing' }),
      expect.objectContaining({ check: 'hanging', level: 'fail', found: 'gave no answer within 0.02 s' }),
    ]);
  });

  it('run at the same time', async () => {
    let arrive!: () => void;
    const other = new Promise<void>((resolve) => (arrive = resolve));
    const first = check('first', async () => {
      await other;
      return [ok('met')];
    });
    const second = check('second', () => {
      arrive();
      return Promise.resolve([ok('met')]);
    });
    expect(await examine([first, second], NOTHING, 60_000)).toHaveLength(2);
  });

  it('share the answers that several of them need', async () => {
    let asked = 0;
    const ask = once(() => Promise.resolve(++asked));
    expect([await ask(), await ask(), asked]).toEqual([1, 1, 1]);
  });
});

describe('the report', () => {
  const line = (check: string, finding: Finding) => ({
    check,
    ...finding,
    link: `docs/troubleshooting.md#${check}`,
  });

  it.each([
    [[ok('a')], 0],
    [[ok('a'), warn('b', 'c')], 1],
    [[warn('b', 'c'), { level: 'fail' as const, found: 'd', cure: 'e' }], 2],
  ])('with the findings %j gives the exit code %i', (findings, code) =>
    expect(
      exitCodeOf(
        reportOf(
          '1',
          findings.map((one) => line('x', one)),
        ),
      ),
    ).toBe(code),
  );

  it('has the advice below each line', () => {
    const text = renderDoctorReport(
      reportOf('1', [line('engine', ok('here')), line('cni', warn('none', 'do this\nand that'))]),
    );
    expect(text).toBe(
      [
        'ok    engine  here',
        'warn  cni     none',
        '              → do this',
        '                and that',
        '                docs/troubleshooting.md#cni',
        '',
        'The node works, but problems are likely: 1 warning, 1 ok.',
        '',
      ].join('\n'),
    );
  });
});

describe('the examined configuration', () => {
  const daemon = (pid: number, ...args: string[]): NodeProcess => ({ name: 'dockbridge', pid, args });
  const A = daemon(1, 'serve', '--container-runtime-endpoint=unix:///a', '--state-dir=/s');
  const B = daemon(2, 'serve', '--container-runtime-endpoint=unix:///b');
  const WATCHING = daemon(3, 'serve', '--observe');
  const chosen = async (given: Record<string, string>, ...processes: NodeProcess[]) => {
    const daemons = await servingDaemons(processes, () => Promise.resolve({ DOCKBRIDGE_RUN_DIR: '/r' }));
    const { settings, daemon: one } = await chooseDaemon(given, {}, daemons);
    return [one?.pid, settings.endpoint, settings.stateDir, settings.runDir];
  };

  it('is the one with which the running daemon was started', async () =>
    expect(await chosen({}, WATCHING, A)).toEqual([1, 'unix:///a', '/s', '/r']));

  it('prefers the options of the command line to those of the daemon', async () =>
    expect(await chosen({ 'container-runtime-endpoint': 'unix:///a', 'state-dir': '/t' }, A, B)).toEqual([
      1,
      'unix:///a',
      '/t',
      '/r',
    ]));

  it('is that of the command line and the defaults if no daemon has the socket, or if several run', async () => {
    const endpoint = 'unix:///var/run/cri-dockerd.sock';
    expect(await chosen({ 'container-runtime-endpoint': 'unix:///c' }, A)).toEqual([
      undefined,
      'unix:///c',
      '/var/lib/dockbridge',
      '/run/dockbridge',
    ]);
    expect(await chosen({}, A, B)).toEqual([undefined, endpoint, '/var/lib/dockbridge', '/run/dockbridge']);
  });

  it("includes the daemon's configuration file", async () => {
    const directory = await mkdtemp(join(tmpdir(), 'dockbridge-doctor-'));
    const file = join(directory, 'c.yaml');
    await writeFile(file, 'container-runtime-endpoint: unix:///filed\nstate-dir: /f\nrun-dir: /no\n');
    const filed = daemon(5, 'serve', `--config=${file}`);
    const found = [5, 'unix:///filed', '/f', '/r'];
    expect(await chosen({}, filed)).toEqual(found);
    expect(await chosen({ 'container-runtime-endpoint': 'unix:///filed' }, A, filed)).toEqual(found);
    await rm(directory, { recursive: true });
  });

  it('is the readable part of a broken configuration file, whose errors are reported', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'dockbridge-doctor-'));
    const file = join(directory, 'c.yaml');
    await writeFile(file, 'state-dir: /f\nno-such: 1\ncontainer-runtime-endpoint: unix:///filed\n');
    const filed = daemon(5, 'serve', `--config=${file}`);
    expect(await chosen({}, filed)).toEqual([5, 'unix:///filed', '/f', '/r']);
    const line = [expect.stringContaining(`${file}:2: there is no option "no-such"`)];
    const daemons = await servingDaemons([filed], () => Promise.resolve({}));
    expect((await chooseDaemon({}, {}, daemons)).faults.map(faultLine)).toEqual(line);
    // If no daemon runs, the doctor reads the file with which one would start.
    expect((await chooseDaemon({ config: file }, {}, [])).faults.map(faultLine)).toEqual(line);
    await rm(directory, { recursive: true });
  });

  it("names the values that override the daemon's file, but not the options of the doctor", async () => {
    const directory = await mkdtemp(join(tmpdir(), 'dockbridge-doctor-'));
    const file = join(directory, 'c.yaml');
    await writeFile(file, 'run-dir: /no\nstate-dir: /f\n');
    const filed = daemon(5, 'serve', `--config=${file}`);
    const daemons = await servingDaemons([filed], () => Promise.resolve({ DOCKBRIDGE_RUN_DIR: '/r' }));
    const { overrides } = await chooseDaemon({ 'state-dir': '/g' }, {}, daemons);
    expect(overrides).toEqual([
      { option: 'run-dir', file: `${file}:1`, fileValue: '/no', by: 'DOCKBRIDGE_RUN_DIR', value: '/r' },
    ]);
    await rm(directory, { recursive: true });
  });

  it('has the path of the socket unit if systemd has passed the socket', async () => {
    const passed = daemon(6, 'serve', '--container-runtime-endpoint', 'fd://', '--state-dir=/s');
    const choose = async (given: Record<string, string>, path: string) => {
      const socketOf = (pid: number): Promise<string> => Promise.resolve(pid === 6 ? path : '');
      const daemons = await servingDaemons([A, passed], () => Promise.resolve({}), socketOf);
      const { settings, daemon: one } = await chooseDaemon(given, {}, daemons);
      return [one?.pid, settings.endpoint, settings.stateDir];
    };
    const found = [6, 'unix:///run/cri-dockerd.sock', '/s'];
    // /run and /var/run are one directory, so this is the default socket.
    expect(await choose({}, '/run/cri-dockerd.sock')).toEqual(found);
    const given = { 'container-runtime-endpoint': 'unix:///run/cri-dockerd.sock' };
    expect(await choose(given, '/run/cri-dockerd.sock')).toEqual(found);
    // Data that cannot be read stays unknown.
    expect(await choose({ 'container-runtime-endpoint': 'fd://' }, '')).toEqual([6, 'fd://', '/s']);
  });

  it('is not that of a daemon with an invalid option', async () =>
    expect((await chosen({}, daemon(4, 'serve', '--cni-timeout=soon')))[0]).toBeUndefined());
});
