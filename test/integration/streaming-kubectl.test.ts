import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { get } from 'node:http';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { ApiServer } from '../fakes/api-server';
import { TestDaemon } from './support/daemon';
import { Kubectl, type Wire } from './support/kubectl';
import { containerConfig, runPod, startedContainer, untilExited } from './support/pods';

const MEBIBYTE = 1024 * 1024;

let test: TestDaemon;
let api: ApiServer;
let kubectl: Kubectl;
let pod: string;
let main: string;

beforeAll(async () => {
  test = await TestDaemon.start();
  api = await ApiServer.start(test.client);
  kubectl = await Kubectl.at(api.url, test.directory);
  pod = await runPod(test);
  main = await startedContainer(
    test,
    pod,
    containerConfig(
      'main',
      `head -c ${MEBIBYTE} /dev/urandom > /www/mebibyte; exec httpd -f -p 8080 -h /www`,
    ),
  );
  api.addPod('web', { sandboxId: pod, containers: { main } });
}, 120_000);

afterAll(async () => {
  await api.close();
  await test.stop();
});

function sha(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Returns `size` bytes without a pattern, generated while they are read. */
function noise(size: number): { stream: Readable; digest: () => string } {
  const hash = createHash('sha256');
  let left = size;
  const stream = new Readable({
    read() {
      const chunk = randomBytes(Math.min(left, 65_536));
      left -= chunk.length;
      hash.update(chunk);
      this.push(chunk);
      if (left === 0) this.push(null);
    },
  });
  return { stream, digest: () => hash.digest('hex') };
}

async function fetchBody(url: string): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    get(url, { agent: false }, (reply) => {
      buffer(reply).then(resolve, reject);
    }).on('error', reject);
  });
}

/** Returns the match in the first matching line, and lets the stream flow on. */
async function lineOf(stream: Readable, pattern: RegExp): Promise<RegExpExecArray> {
  const lines = createInterface({ input: stream });
  const seen: string[] = [];
  for await (const line of lines) {
    seen.push(line);
    const found = pattern.exec(line);
    if (found !== null) {
      stream.resume();
      return found;
    }
  }
  throw new Error(`no line matches ${String(pattern)}: ${seen.join('\n')}`);
}

describe.each<Wire>(['SPDY', 'WebSocket'])('kubectl over %s', (wire) => {
  it('exec returns both outputs, and uses the expected protocol', async () => {
    const from = api.spoken.length;
    const result = await kubectl.run(
      wire,
      undefined,
      'exec',
      'web',
      '--',
      'sh',
      '-c',
      'echo out; echo err >&2',
    );
    expect(result).toEqual({ code: 0, stdout: Buffer.from('out\n'), stderr: 'err\n' });
    const wanted = wire === 'SPDY' ? /^SPDY\/3\.1 .*v4\.channel\.k8s\.io/ : /^websocket v5\.channel\.k8s\.io/;
    expect(api.spoken.slice(from)).toEqual([expect.stringMatching(wanted)]);
  });

  it.each([0, 1, 7, 137])('exec returns exit code %d', async (code) => {
    const result = await kubectl.run(
      wire,
      undefined,
      'exec',
      'web',
      '--',
      'sh',
      '-c',
      `echo said; exit ${code}`,
    );
    expect(result.code).toBe(code);
    expect(result.stdout.toString()).toBe('said\n');
    if (code !== 0) expect(result.stderr).toBe(`command terminated with exit code ${code}\n`);
  });

  it('exec reports a missing command with the reason', async () => {
    const result = await kubectl.run(wire, undefined, 'exec', 'web', '--', '/no/such/command');
    expect(result.code).not.toBe(0);
    expect(result.stderr).toMatch(/no such file|not found|exit code 12[67]/);
  });

  it('exec -i passes 100 MB through cat unchanged', async () => {
    const { stream, digest } = noise(100 * 1000 * 1000);
    const { code, stdout } = await kubectl.run(wire, stream, 'exec', '-i', 'web', '--', 'cat');
    expect(code).toBe(0);
    expect(stdout.length).toBe(100 * 1000 * 1000);
    expect(sha(stdout)).toBe(digest());
  });

  it('exec never loses the tail of a fast writer', async () => {
    const line = 'x'.repeat(99);
    const command = `yes ${line} | head -n 20000; echo end`;
    for (let round = 0; round < 10; round++) {
      const { stdout } = await kubectl.run(wire, undefined, 'exec', 'web', '--', 'sh', '-c', command);
      expect(stdout.length).toBe(20_000 * 100 + 4);
      expect(stdout.subarray(-4).toString()).toBe('end\n');
    }
  });

  it('exec -it gives the terminal its size, and follows changes', async () => {
    // An Engine before 23 cannot start a command with a size, so the size comes right after the start. In
    // the other terminal, stty sets columns and rows separately, and each is a change.
    const ttyFile = join(test.directory, `tty-${wire}`);
    const inside = `until stty size 2>/dev/null | grep .; do :; done; trap '[ "$(stty size)" != "45 123" ] || { stty size; exit 7; }' WINCH; echo ready; while :; do sleep 0.1; done`;
    const args = kubectl.arguments('exec', '-it', 'web', '--', 'sh', '-c', inside);
    const words = [kubectl.path, ...args].map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(' ');
    const command = `stty cols 97 rows 41; tty > ${ttyFile}; exec ${words}`;
    // `script` gives kubectl a terminal.
    const child = spawn('script', ['-qefc', command, '/dev/null'], { env: kubectl.environment(wire) });
    const closed = once(child, 'close');
    let output = '';
    await new Promise<void>((resolve) => {
      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        output += text;
        if (output.includes('ready')) resolve();
      });
    });
    expect(output).toContain('41 97');
    const tty = (await readFile(ttyFile, 'utf8')).trim();
    await once(spawn('stty', ['-F', tty, 'cols', '123', 'rows', '45']), 'close');
    const [code] = (await closed) as [number];
    expect(output).toContain('45 123');
    expect(code).toBe(7);
  });

  it('attach passes output and input, and the end of its input ends the container', async () => {
    const script = 'while read line; do echo "heard $line"; done; echo bye; sleep 0.2';
    const config = containerConfig(`attached-${wire}`, script, { stdin: true, stdin_once: true });
    const id = await startedContainer(test, pod, config);
    api.addPod('attached', { sandboxId: pod, containers: { shell: id } });
    const result = await kubectl.run(wire, 'one\ntwo\n', 'attach', '-i', 'attached');
    expect(result.stdout.toString()).toBe('heard one\nheard two\nbye\n');
    expect(result.code).toBe(0);
    await untilExited(test, id);
  });

  it('port-forward handles 100 parallel requests of 1 MiB', async () => {
    const from = api.spoken.length;
    const expected = sha(await fileIn('/www/mebibyte'));
    const child = kubectl.start(wire, 'port-forward', 'web', ':8080');
    const [, port = ''] = await lineOf(child.stdout!, /Forwarding from 127\.0\.0\.1:(\d+)/);
    const bodies = await Promise.all(
      Array.from({ length: 100 }, () => fetchBody(`http://127.0.0.1:${port}/mebibyte`)),
    );
    expect(bodies.filter((body) => sha(body) !== expected)).toEqual([]);
    child.kill();
    await once(child, 'close');
    const wanted = wire === 'SPDY' ? /^SPDY\/3\.1 / : /^websocket SPDY\/3\.1\+portforward/;
    expect(api.spoken.slice(from)).toEqual([expect.stringMatching(wanted)]);
  });

  it('cp copies in both directions', async () => {
    const file = join(test.directory, `sent-${wire}`);
    const back = join(test.directory, `back-${wire}`);
    const bytes = randomBytes(5 * MEBIBYTE);
    await writeFile(file, bytes);
    await mkdir(join(test.directory, 'home'), { recursive: true });
    expect(await kubectl.run(wire, undefined, 'cp', file, `web:/tmp/${wire}`)).toMatchObject({ code: 0 });
    expect(await kubectl.run(wire, undefined, 'cp', `web:/tmp/${wire}`, back)).toMatchObject({ code: 0 });
    expect(sha(await readFile(back))).toBe(sha(bytes));
  });
});

async function fileIn(path: string): Promise<Buffer> {
  const { stdout } = await test.client.call('ExecSync', {
    container_id: main,
    cmd: ['cat', path],
    timeout: 20,
  });
  return Buffer.from(stdout);
}
