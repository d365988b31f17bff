import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseNetworkList } from '../../../src/network/cni/network-config';
import { PluginChain } from '../../../src/network/cni/plugin-chain';
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

describe('A chain of plugins', () => {
  it('hands each the result of the one before, and its own configuration under the network name', async () => {
    await node.plugin('one', answer(RESULT));
    await node.plugin('two', `echo "$stdin" | sed 's/.*"prevResult"://; s/}$//'`);
    const config = network([{ type: 'one', mtu: 1400 }, 'two']);
    expect(await chain.add(config, ATTACHMENT)).toEqual(RESULT);
    const [first, second] = await node.calls();
    expect(first).toMatchObject({
      ...{ command: 'ADD', plugin: 'one', containerId: 'c1', netns: '/ns', ifName: 'eth0' },
      args: 'IgnoreUnknown=1;K8S_POD_NAME=web',
      path: `/nowhere:${node.binDir}`,
      input: { type: 'one', mtu: 1400, name: 'net', cniVersion: '1.0.0' },
    });
    expect(second?.input).toEqual({ type: 'two', name: 'net', cniVersion: '1.0.0', prevResult: RESULT });
  });

  it('is taken down in reverse, with the result of its ADD', async () => {
    for (const name of ['one', 'two']) await node.plugin(name, '');
    await chain.del(network(['one', 'two']), ATTACHMENT, RESULT);
    expect(await node.story()).toEqual(['DEL two', 'DEL one']);
    for (const { input } of await node.calls()) expect(input.prevResult).toEqual(RESULT);
    await chain.del(network(['one'], { cniVersion: '0.3.1' }), ATTACHMENT, RESULT);
    expect((await node.calls()).at(-1)?.input).not.toHaveProperty('prevResult');
  });

  it('stops a DEL at the first failure: what follows may still be in use', async () => {
    await node.plugin('one', '');
    await node.plugin('two', 'exit 3');
    expect(await rejectionOf(chain.del(network(['one', 'two']), ATTACHMENT, undefined))).toBe(
      'UNKNOWN CNI plugin "two" ended with exit code 3 on DEL and said nothing',
    );
    expect(await node.story()).toEqual(['DEL two']);
  });

  it('makes each run a step of the trace, with how it ended and without its configuration', async () => {
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
      // A plugin that is not there does not run.
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

  it('is checked forward, unless it is too old or says not to', async () => {
    for (const name of ['one', 'two']) await node.plugin(name, '');
    await chain.check(network(['one', 'two']), ATTACHMENT, RESULT);
    expect(await node.story()).toEqual(['CHECK one', 'CHECK two']);
    await chain.check(network(['one'], { cniVersion: '0.3.1' }), ATTACHMENT, RESULT);
    await chain.check(network(['one'], { disableCheck: true }), ATTACHMENT, RESULT);
    expect(await node.story()).toHaveLength(2);
  });

  it('is asked for STATUS and GC from 1.1 on', async () => {
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
});

describe('A plugin that fails', () => {
  it.each([
    [
      'with an error of CNI',
      `echo '{"cniVersion":"1.0.0","code":7,"msg":"bad config","details":"no bridge"}'; exit 1`,
      'UNKNOWN CNI plugin "bad" failed on ADD (code 7): bad config: no bridge',
    ],
    [
      'for now',
      `echo '{"code":11,"msg":"come back"}'; exit 1`,
      'UNAVAILABLE CNI plugin "bad" failed on ADD (code 11): come back',
    ],
    [
      'with words on stderr',
      'echo "panic: no  such" >&2; echo "goroutine 1" >&2; exit 2',
      'UNKNOWN CNI plugin "bad" ended with exit code 2 on ADD and said: panic: no such goroutine 1',
    ],
    ['in silence', 'exit 1', 'UNKNOWN CNI plugin "bad" ended with exit code 1 on ADD and said nothing'],
    ['by a signal', 'kill -SEGV $$', 'UNKNOWN CNI plugin "bad" ended with SIGSEGV on ADD and said nothing'],
    [
      'to answer in JSON',
      'echo "all is well"',
      'UNKNOWN CNI plugin "bad" answered ADD with what is not a JSON object: all is well',
    ],
    ['to answer at all', ':', 'UNKNOWN CNI plugin "bad" answered ADD with nothing'],
    ['to stop talking', 'yes', 'UNKNOWN CNI plugin "bad" wrote more than 1048576 bytes on ADD'],
  ])('%s', async (_, script, error) => {
    await node.plugin('bad', script);
    expect(await rejectionOf(add(['bad']))).toBe(error);
  });

  it('because it is missing', async () => {
    expect(await rejectionOf(add(['absent']))).toBe(
      `FAILED_PRECONDITION CNI plugin "absent" is not installed in /nowhere, ${node.binDir} (--cni-bin-dir)`,
    );
  });

  it('because it hangs: it is killed with all that it started', async () => {
    await node.plugin('slow', 'sleep 1000 & echo $! >>$log.pid; wait');
    chain = new PluginChain([node.binDir], 300);
    const started = Date.now();
    expect(await rejectionOf(add(['slow']))).toBe(
      'DEADLINE_EXCEEDED CNI plugin "slow" took longer than 300 ms on ADD (--cni-timeout) and was killed',
    );
    expect(Date.now() - started).toBeLessThan(5_000);
    const sleeper = (await readFile(join(node.root, 'calls.pid'), 'utf8')).trim();
    // SIGKILL is sent before the rejection; dying takes the kernel a moment on a busy machine.
    const isDead = async () =>
      /^gone|\) [ZX] /.test(await readFile(`/proc/${sleeper}/stat`, 'utf8').catch(() => 'gone'));
    const end = Date.now() + 5_000;
    while (!(await isDead())) if (Date.now() > end) throw new Error(`process ${sleeper} survives`);
  });

  it('because it hangs longer than the limit of the moment', async () => {
    await node.plugin('slow', 'sleep 1000');
    let ms = 60_000;
    chain = new PluginChain([node.binDir], () => ms);
    ms = 100;
    expect(await rejectionOf(add(['slow']))).toMatch('took longer than 100 ms');
  });

  it('because its caller has gone', async () => {
    await node.plugin('slow', 'echo >$log.started; sleep 1000');
    const controller = new AbortController();
    const adding = chain.add(network(['slow']), ATTACHMENT, controller.signal);
    while (!(await readdir(node.root)).includes('calls.started'))
      await new Promise((next) => setImmediate(next));
    controller.abort(new Error('cancelled'));
    await expect(adding).rejects.toThrow('cancelled');
  });
});

describe('Versions of plugins', () => {
  it('must include that of the network', async () => {
    await node.plugin('old', '', ['0.3.1', '0.4.0']);
    await chain.validate(network(['old'], { cniVersion: '0.4.0' }));
    expect(await rejectionOf(chain.validate(network(['old'])))).toBe(
      'FAILED_PRECONDITION CNI plugin "old" does not speak version 1.0.0 of network "net", only 0.3.1, 0.4.0',
    );
  });

  it('make answers look as the network is configured', async () => {
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
});
