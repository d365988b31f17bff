import { appendFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { KernelLog } from '../../../src/node/kernel-log';

const [A, B, C] = ['a', 'b', 'c'].map((digit) => digit.repeat(64)) as [string, string, string];
const kill = (group: string): string =>
  `6,1,2,-;oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),oom_memcg=/kubepods,task_memcg=${group},task=dd,pid=9\n`;

describe('KernelLog', () => {
  const directory = mkdtempSync(join(tmpdir(), 'kernel-log-'));
  const path = join(directory, 'kmsg');
  afterAll(() => rmSync(directory, { recursive: true }));

  it('names the container whose process was killed, with either cgroup driver, before and after the first read', async () => {
    writeFileSync(path, kill(`/kubepods/pod1/${A}`));
    const log = new KernelLog(path);
    expect(await log.killedForMemory(A)).toBe(true);
    expect(await log.killedForMemory(B)).toBe(false);
    appendFileSync(path, kill(`/kubepods.slice/docker-${B}.scope`));
    expect(await log.killedForMemory(B)).toBe(true);
    appendFileSync(path, `6,3,4,-;Memory cgroup out of memory: Killed process 9 (${C})\n`);
    expect(await log.killedForMemory(C)).toBe(false);
    await log.close();
  });

  it('reads again if the log could not be opened for a temporary reason', async () => {
    const place = join(directory, 'place');
    const log = new KernelLog(join(place, 'kmsg'));
    // ENOTDIR stands for EMFILE, which a test cannot cause without using up this process's descriptors.
    writeFileSync(place, '');
    expect(await log.killedForMemory(A)).toBe(false);
    rmSync(place);
    mkdirSync(place);
    writeFileSync(join(place, 'kmsg'), kill(`/docker/${A}`));
    expect(await log.killedForMemory(A)).toBe(true);
    await log.close();
  });

  it('names no container if the log cannot be read', async () => {
    const log = new KernelLog(join(directory, 'absent'));
    expect(await log.killedForMemory(A)).toBe(false);
    await log.close();
  });
});
