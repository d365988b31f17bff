import { existsSync, readFileSync } from 'node:fs';
import { chmod, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseNetworkList, type NetworkConfig } from '../../../src/network/cni/network-config';
import { PluginChain, type PluginReport } from '../../../src/network/cni/plugin-chain';
import { until } from '../support/async';
import { rejectionOf } from '../support/errors';
import { RecordingTracer } from '../support/recording-tracer';
import { answer, ATTACHMENT, FakeNode, listOf, RESULT } from './fake-plugins';

let node: FakeNode;
let chain: PluginChain;
beforeEach(async () => {
  node = await FakeNode.create();
  chain = new PluginChain(['/nowhere', node.binDir], 10_000);
});
afterEach(() => node.remove());

const network = (...args: Parameters<typeof listOf>): ReturnType<typeof parseNetworkList> =>
  parseNetworkList(JSON.stringify(listOf(...args)));
const add = (plugins: readonly (string | object)[], more = {}): Promise<object> =>
  chain.add(network(plugins, more), ATTACHMENT);

/** Installs a plugin that runs `script`, even for VERSION. */
async function program(name: string, script: string): Promise<void> {
  await node.plugin(`.${name}`, '');
  await writeFile(join(node.binDir, `.${name}`), `#!/bin/sh\n${script}\n`);
  await rename(join(node.binDir, `.${name}`), join(node.binDir, name));
}

describe('a chain of plugins', () => {
  it("gives each plugin the previous result, and its own configuration under the network's name", async () => {
    await node.plugin('one', answer(RESULT));
    await node.plugin('two', `echo "$stdin" | sed 's/.*"prevResult"://; s/}$//'`);
    const config = network([{ type: 'one', mtu: 1400 }, 'two']);
    expect(await chain.add(config, ATTACHMENT)).toEqual(RESULT);
    const [first, second] = await node.calls();
    expect(first).toEqual({
      ...{ command: 'ADD', plugin: 'one', containerId: 'c1', netns: '/ns', ifName: 'eth0' },
      args: 'IgnoreUnknown=1;K8S_POD_NAME=web',
      path: `/nowhere:${node.binDir}`,
      input: { type: 'one', mtu: 1400, name: 'net', cniVersion: '1.0.0' },
    });
    expect(second?.input).toEqual({ type: 'two', name: 'net', cniVersion: '1.0.0', prevResult: RESULT });
  });

  it('runs DEL in reverse order, with the result of its ADD', async () => {
    for (const name of ['one', 'two']) await node.plugin(name, '');
    await chain.del(network(['one', 'two']), ATTACHMENT, RESULT);
    expect(await node.story()).toEqual(['DEL two', 'DEL one']);
    for (const { input } of await node.calls()) expect(input.prevResult).toEqual(RESULT);
    await chain.del(network(['one'], { cniVersion: '0.3.1' }), ATTACHMENT, RESULT);
    expect((await node.calls()).at(-1)?.input).not.toHaveProperty('prevResult');
  });

  it('stops a DEL at the first failure, because that plugin may still use what the plugins before it provide', async () => {
    await node.plugin('one', '');
    await node.plugin('two', 'exit 3');
    expect(await rejectionOf(chain.del(network(['one', 'two']), ATTACHMENT, undefined))).toBe(
      'UNKNOWN CNI plugin "two" ended with exit code 3 on DEL and said nothing',
    );
    expect(await node.story()).toEqual(['DEL two']);
  });

  it('traces each run as a span with its outcome, but without its configuration', async () => {
    await node.plugin('one', answer(RESULT));
    await node.plugin('two', `echo '{"code":7,"msg":"bad configuration: token=secret"}'; exit 3`);
    await node.plugin('three', 'kill -9 $$');
    const tracer = new RecordingTracer();
    chain = new PluginChain([node.binDir], 10_000, undefined, undefined, tracer);
    for (const last of ['two', 'three', 'none']) await rejectionOf(add(['one', last]));
    const step = (plugin: string, more: object): object => ({
      name: `CNI ADD ${plugin}`,
      attributes: { 'cni.plugin': plugin, 'cni.command': 'ADD', 'cni.network': 'net', ...more },
    });
    const well = step('one', { 'cni.exit': '0' });
    const spans = tracer.spans.map(({ threw: _threw, ...span }) => span);
    expect(spans).toEqual([
      ...[well, step('two', { 'cni.exit': '3', 'cni.error_code': 7 })],
      ...[well, step('three', { 'cni.exit': 'SIGKILL', 'cni.error_code': undefined })],
      // A missing plugin does not run.
      well,
    ]);
  });

  it('reports each run, and whether it failed', async () => {
    await node.plugin('one', answer(RESULT));
    await node.plugin('two', 'exit 3');
    const reports: string[] = [];
    chain = new PluginChain([node.binDir], 10_000, ({ plugin, command, failed }) => {
      reports.push(`${command} ${plugin} ${failed ? 'failed' : 'went well'}`);
    });
    await rejectionOf(add(['one', 'two']));
    expect(reports).toEqual(['ADD one went well', 'ADD two failed']);
  });

  it('passes only the capabilities that a plugin declares', async () => {
    for (const name of ['one', 'two']) await node.plugin(name, answer(RESULT));
    const capabilityArgs = { portMappings: [{ hostPort: 80 }], bandwidth: { ingressRate: 1 }, dns: {} };
    const config = network([
      { type: 'one', capabilities: { portMappings: true, bandwidth: false } },
      { type: 'two', capabilities: { bandwidth: true, mac: true } },
    ]);
    await chain.add(config, { ...ATTACHMENT, capabilityArgs });
    const [one, two] = await node.calls();
    expect(one?.input.runtimeConfig).toEqual({ portMappings: [{ hostPort: 80 }] });
    expect(two?.input.runtimeConfig).toEqual({ bandwidth: { ingressRate: 1 } });
    expect(one?.input).not.toHaveProperty('capabilities');
  });

  it('runs CHECK in forward order, except for versions that are too old or a configuration that forbids it', async () => {
    for (const name of ['one', 'two']) await node.plugin(name, '');
    await chain.check(network(['one', 'two']), ATTACHMENT, RESULT);
    expect(await node.story()).toEqual(['CHECK one', 'CHECK two']);
    await chain.check(network(['one'], { cniVersion: '0.3.1' }), ATTACHMENT, RESULT);
    await chain.check(network(['one'], { disableCheck: true }), ATTACHMENT, RESULT);
    expect(await node.story()).toHaveLength(2);
  });

  it('runs STATUS and GC only for CNI 1.1, and no GC if disableGC is set', async () => {
    await node.plugin('one', '');
    const valid = [{ containerID: 'c1', ifname: 'eth0' }];
    await chain.status(network(['one']));
    await chain.gc(network(['one']), valid);
    expect(await node.story()).toEqual([]);
    await chain.status(network(['one'], { cniVersion: '1.1.0' }));
    await chain.gc(network(['one'], { cniVersion: '1.1.0' }), valid);
    await chain.gc(network(['one'], { cniVersion: '1.1.0', disableGC: true }), valid);
    expect(await node.story()).toEqual(['STATUS one', 'GC one']);
    expect((await node.calls())[1]?.input['cni.dev/valid-attachments']).toEqual(valid);
  });

  it('passes results in the version of the network, whatever the cache contains', async () => {
    for (const name of ['one', 'two']) await node.plugin(name, '');
    const older = { ...RESULT, cniVersion: '1.1.0', routes: [{ dst: '::/0', mtu: 1400 }] };
    const config = network(['one', 'two'], { cniVersion: '0.4.0' });
    await chain.check(config, ATTACHMENT, older);
    await chain.del(config, ATTACHMENT, older);
    const calls = await node.calls();
    expect(calls.map(({ command, plugin }) => `${command} ${plugin}`)).toEqual([
      ...['CHECK one', 'CHECK two', 'DEL two', 'DEL one'],
    ]);
    for (const call of calls)
      expect(call).toEqual({
        ...{ command: call.command, plugin: call.plugin },
        ...{ containerId: 'c1', netns: '/ns', ifName: 'eth0' },
        ...{ args: 'IgnoreUnknown=1;K8S_POD_NAME=web', path: `/nowhere:${node.binDir}` },
        input: {
          ...{ type: call.plugin, name: 'net', cniVersion: '0.4.0' },
          prevResult: {
            ...{ cniVersion: '0.4.0', interfaces: RESULT.interfaces, routes: [{ dst: '::/0' }] },
            ips: [
              { version: '6', ...RESULT.ips[0] },
              { version: '4', ...RESULT.ips[1] },
            ],
          },
        },
      });
    await chain.del(config, ATTACHMENT, undefined);
    expect((await node.calls()).at(-1)?.input).not.toHaveProperty('prevResult');
  });

  it('stops a CHECK, a STATUS and a VERSION at the first failure', async () => {
    await node.plugin('one', 'exit 3');
    const config = network(['one', 'two'], { cniVersion: '1.1.0' });
    await expect(chain.check(config, ATTACHMENT, RESULT)).rejects.toThrow('"one" ended with');
    await expect(chain.status(config)).rejects.toThrow('"one" ended with');
    await expect(chain.validate(network(['none', 'one']))).rejects.toThrow('"none" is not installed');
    expect(await node.story()).toEqual(['CHECK one', 'STATUS one']);
  });

  it('passes capabilities to CHECK and DEL too, and none to STATUS and GC', async () => {
    await node.plugin('one', '');
    const config = network([{ type: 'one', capabilities: { dns: true } }], { cniVersion: '1.1.0' });
    const attachment = { ...ATTACHMENT, capabilityArgs: { dns: { servers: [] } } };
    await chain.check(config, attachment, RESULT);
    await chain.del(config, attachment, RESULT);
    await chain.status(config);
    const valid = [{ containerID: 'c1', ifname: 'eth0' }];
    await chain.gc(config, valid);
    const [check, del, status, gc] = await node.calls();
    for (const call of [check, del]) expect(call?.input.runtimeConfig).toEqual(attachment.capabilityArgs);
    const nothing = { containerId: '', netns: '', ifName: '', args: '', path: `/nowhere:${node.binDir}` };
    const input = { type: 'one', name: 'net', cniVersion: '1.1.0' };
    expect(status).toEqual({ command: 'STATUS', plugin: 'one', ...nothing, input });
    expect(gc).toEqual({
      ...{ command: 'GC', plugin: 'one', ...nothing },
      input: { ...input, 'cni.dev/valid-attachments': valid, 'cni.dev/attachments': valid },
    });
  });

  it('collects the garbage of all its plugins, and throws the first failure', async () => {
    await node.plugin('one', 'exit 3');
    await node.plugin('two', 'exit 4');
    await node.plugin('three', '');
    const config = network(['one', 'two', 'three'], { cniVersion: '1.1.0' });
    expect(await rejectionOf(chain.gc(config, []))).toMatch(/"one" ended with exit code 3 on GC/);
    expect(await node.story()).toEqual(['GC one', 'GC two', 'GC three']);
  });

  it.each<[string, (config: NetworkConfig, signal: AbortSignal) => Promise<unknown>]>([
    ['ADD', (config, signal) => chain.add(config, ATTACHMENT, signal)],
    ['CHECK', (config, signal) => chain.check(config, ATTACHMENT, RESULT, signal)],
    ['STATUS', (config, signal) => chain.status(config, signal)],
    ['GC', (config, signal) => chain.gc(config, [], signal)],
    ['VERSION', (config, signal) => chain.validate(config, signal)],
  ])('does not run %s for a caller that has left', async (_, ask) => {
    await node.plugin('one', answer(RESULT));
    const gone = AbortSignal.abort(new Error('gone'));
    await expect(ask(network(['one'], { cniVersion: '1.1.0' }), gone)).rejects.toThrow('gone');
    expect(await node.story()).toEqual([]);
  });

  it('records plugins that run for a pod, and no others', async () => {
    await node.plugin('one', answer(RESULT));
    const noted: unknown[] = [];
    const begin = (pid: number, what: object) => {
      noted.push([typeof pid, what]);
      return Promise.resolve((ended: boolean) => Promise.resolve(void noted.push(ended)));
    };
    chain = new PluginChain([node.binDir], 10_000, undefined, { begin });
    const config = network(['one'], { cniVersion: '1.1.0' });
    await chain.validate(config);
    await chain.add(config, ATTACHMENT);
    await chain.check(config, ATTACHMENT, RESULT);
    await chain.del(config, ATTACHMENT, RESULT);
    await chain.status(config);
    await chain.gc(config, []);
    expect(noted).toEqual(
      ['ADD', 'CHECK', 'DEL'].flatMap((command) => [
        ['number', { sandboxId: 'c1', plugin: 'one', command }],
        true,
      ]),
    );
  });

  it('finds a plugin in the first directory that has it as a program', async () => {
    const first = join(node.root, 'first');
    await mkdir(join(first, 'one'), { recursive: true });
    await node.plugin('one', answer(RESULT));
    chain = new PluginChain([first, node.binDir], 10_000);
    await chain.add(network(['one']), ATTACHMENT);
    await rm(join(first, 'one'), { recursive: true });
    await writeFile(join(first, 'one'), '#!/bin/sh\nexit 9\n', { mode: 0o644 });
    await chain.add(network(['one']), ATTACHMENT);
    expect(await node.story()).toEqual(['ADD one', 'ADD one']);
    await chmod(join(first, 'one'), 0o755);
    await expect(chain.add(network(['one']), ATTACHMENT)).rejects.toThrow('exit code 9');
    await chain.findAll(network(['one']));
    expect(await rejectionOf(chain.findAll(network(['one', 'two'])))).toBe(
      `FAILED_PRECONDITION CNI plugin "two" is not installed in ${first}, ${node.binDir} (--cni-bin-dir)`,
    );
  });

  it('reports how long each run took', async () => {
    await node.plugin('one', answer(RESULT));
    const reports: PluginReport[] = [];
    let nanos = 5_000_000_000n;
    const clock = jest.spyOn(process.hrtime, 'bigint').mockImplementation(() => (nanos += 1_500_000_000n));
    chain = new PluginChain([node.binDir], 10_000, (report) => reports.push(report));
    await chain.add(network(['one']), ATTACHMENT);
    clock.mockRestore();
    expect(reports).toEqual([{ plugin: 'one', command: 'ADD', seconds: 1.5, failed: false }]);
  });
});

describe('the failure of a plugin', () => {
  it.each([
    [
      'with a CNI error',
      `echo '{"cniVersion":"1.0.0","code":7,"msg":"bad config","details":"no bridge"}'; exit 1`,
      'UNKNOWN CNI plugin "bad" failed on ADD (code 7): bad config: no bridge',
    ],
    [
      'with the code for a later retry',
      `echo '{"code":11,"msg":"come back"}'; exit 1`,
      'UNAVAILABLE CNI plugin "bad" failed on ADD (code 11): come back',
    ],
    [
      'with text on stderr',
      'echo "panic: no  such" >&2; echo "goroutine 1" >&2; exit 2',
      'UNKNOWN CNI plugin "bad" ended with exit code 2 on ADD and said: panic: no such goroutine 1',
    ],
    ['without output', 'exit 1', 'UNKNOWN CNI plugin "bad" ended with exit code 1 on ADD and said nothing'],
    ['by a signal', 'kill -SEGV $$', 'UNKNOWN CNI plugin "bad" ended with SIGSEGV on ADD and said nothing'],
    [
      'with invalid JSON',
      'echo "all is well"',
      'UNKNOWN CNI plugin "bad" answered ADD with something that is not a JSON object: all is well',
    ],
    ['without an answer', ':', 'UNKNOWN CNI plugin "bad" answered ADD with nothing'],
    ['with endless output', 'yes', 'UNKNOWN CNI plugin "bad" wrote more than 1048576 bytes on ADD'],
  ])('%s is reported with its cause', async (_, script, error) => {
    await node.plugin('bad', script);
    expect(await rejectionOf(add(['bad']))).toBe(error);
  });

  it('because it is missing names the plugin and the directories', async () => {
    expect(await rejectionOf(add(['absent']))).toBe(
      `FAILED_PRECONDITION CNI plugin "absent" is not installed in /nowhere, ${node.binDir} (--cni-bin-dir)`,
    );
  });

  it('because it hangs ends with a kill of the plugin and all its children', async () => {
    await node.plugin('slow', 'sleep 1000 & echo $! >$log.new; mv $log.new $log.pid; wait');
    chain = new PluginChain([node.binDir], 300);
    const pidFile = join(node.root, 'calls.pid');
    jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask'] });
    try {
      const adding = rejectionOf(add(['slow']));
      await until(() => existsSync(pidFile), 'the child of the plugin');
      jest.advanceTimersByTime(300);
      expect(await adding).toBe(
        'DEADLINE_EXCEEDED CNI plugin "slow" took longer than 300 ms on ADD (--cni-timeout) and was killed',
      );
    } finally {
      jest.useRealTimers();
    }
    const sleeper = readFileSync(pidFile, 'utf8').trim();
    // SIGKILL is sent before the rejection, but on a busy machine the process dies a moment later.
    const stateOf = (): string => {
      try {
        return readFileSync(`/proc/${sleeper}/stat`, 'utf8');
      } catch {
        return 'gone';
      }
    };
    await until(() => /^gone|\) [ZX] /.test(stateOf()), 'the end of the child');
  });

  it('comes at the time limit that applies when the plugin starts', async () => {
    await node.plugin('slow', 'sleep 1000');
    let ms = 60_000;
    chain = new PluginChain([node.binDir], () => ms);
    ms = 100;
    expect(await rejectionOf(add(['slow']))).toMatch('took longer than 100 ms');
  });

  it('comes when the caller has gone', async () => {
    await node.plugin('slow', 'echo >$log.started; sleep 1000');
    const controller = new AbortController();
    const adding = chain.add(network(['slow']), ATTACHMENT, controller.signal);
    while (!(await readdir(node.root)).includes('calls.started'))
      await new Promise((next) => setImmediate(next));
    controller.abort(new Error('cancelled'));
    await expect(adding).rejects.toThrow('cancelled');
  });
});

describe('plugin versions', () => {
  it('must include the version of the network', async () => {
    await node.plugin('old', '', ['0.3.1', '0.4.0']);
    await chain.validate(network(['old'], { cniVersion: '0.4.0' }));
    expect(await rejectionOf(chain.validate(network(['old'])))).toBe(
      'FAILED_PRECONDITION CNI plugin "old" does not support version 1.0.0 of network "net", only 0.3.1, 0.4.0',
    );
  });

  it('of answers are converted to the version of the network', async () => {
    await node.plugin(
      'new',
      answer({ ...RESULT, cniVersion: '1.1.0', routes: [{ dst: '::/0', mtu: 1400 }] }),
    );
    expect(await add(['new'], { cniVersion: '0.4.0' })).toMatchObject({
      cniVersion: '0.4.0',
      ips: [{ version: '6', address: 'fd00::2/64' }, { version: '4' }],
      routes: [{ dst: '::/0' }],
    });
  });

  it.each([
    ['does not know VERSION', `echo '{"code":4,"msg":"Unknown CNI_COMMAND: VERSION"}'; exit 1`],
    ['says only that the version differs', `echo '{"code":1,"msg":"incompatible"}'; exit 1`],
  ])('are only 0.1.0 if a plugin %s', async (_, script) => {
    await program('old', script);
    await chain.validate(network(['old'], { cniVersion: '0.1.0' }));
    expect(await rejectionOf(chain.validate(network(['old'])))).toBe(
      'FAILED_PRECONDITION CNI plugin "old" does not support version 1.0.0 of network "net", only 0.1.0',
    );
  });

  it.each([
    [
      'that it does not know VERSION, without a code',
      'echo unknown CNI_COMMAND >&2; exit 1',
      'ended with exit code 1',
    ],
    ['another failure', `echo '{"code":7,"msg":"no"}'; exit 1`, 'failed on VERSION (code 7): no'],
    ['no versions', 'echo "{}"', 'answered VERSION with something that is not a JSON object: {}'],
    ['nothing', ':', 'answered VERSION with nothing'],
  ])('are unknown if a plugin reports %s', async (_, script, message) => {
    await program('bad', script);
    await expect(chain.validate(network(['bad']))).rejects.toThrow(message);
  });

  it('are requested once for each plugin, in a form that the oldest understand', async () => {
    const variables = '$CNI_COMMAND $CNI_CONTAINERID $CNI_NETNS $CNI_IFNAME ${CNI_ARGS-none}. $CNI_PATH';
    const versions = JSON.stringify({ supportedVersions: ['1.0.0'] });
    await program('new', `echo "${variables} $(cat)" >>${node.root}/asked; echo '${versions}'`);
    await chain.validate(network(['new', 'new']));
    expect(await readFile(join(node.root, 'asked'), 'utf8')).toBe(
      `VERSION none none none . /nowhere:${node.binDir} {"cniVersion":"1.1.0"}\n`,
    );
  });
});
