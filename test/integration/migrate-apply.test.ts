import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { presentFiles } from '../../src/migrate/apply/changed';
import { succeeds } from '../../src/migrate/plan/check';
import { step, type Step } from '../../src/migrate/plan/step';

const MAIN = resolve('dist/main.js');
const PATIENCE_MS = 240_000;
/** How often a process is killed in one test. */
const KILLS = 6;

let scratch: string;
beforeEach(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'migrate-apply-'));
}, PATIENCE_MS);
afterEach(() => rm(scratch, { recursive: true }));

/** How long a command takes. The next dockbridge starts faster, so that it meets the command of a killed one. */
const SECONDS = 1.5;

/** A step whose command and undo take a while, and write when they begin and end. */
function slowStep(id: string): Step {
  const [log, result] = [join(scratch, 'log'), join(scratch, id)];
  return step(id, `The step ${id}`, '', {
    commands: [`echo begin >> ${log}; sleep ${SECONDS}; echo ${id} > ${result}; echo end >> ${log}`],
    check: [succeeds(`test -e ${result}`)],
    undo: [`echo begin >> ${log}; sleep ${SECONDS}; rm -f ${result}; echo end >> ${log}`],
  });
}

async function writePlan(): Promise<string> {
  const directory = join(scratch, 'plan');
  await mkdir(directory, { mode: 0o700 });
  const present = await presentFiles({ inventory: {}, files: [] });
  const name = await readFile('/etc/hostname', 'utf8').catch(() => hostname());
  const json = {
    ...{
      v: 1,
      version: '1',
      target: 'containerd',
      hostname: name.trim(),
      origin: '',
      accepted: [],
      findings: [],
    },
    ...{ inventory: Object.fromEntries(present), files: [], steps: ['a', 'b'].map(slowStep) },
  };
  await writeFile(join(directory, 'plan.json'), JSON.stringify(json), { mode: 0o600 });
  return directory;
}

/** Runs a command of dockbridge. @param killAfterMs when it is killed; undefined to let it end. */
async function run(
  words: readonly string[],
  killAfterMs?: number,
): Promise<{ code: number | null; output: string }> {
  const child = spawn(process.execPath, [MAIN, 'migrate', ...words], { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (output += String(text)));
  const ended = once(child, 'close');
  if (killAfterMs !== undefined) {
    await Promise.race([pause(killAfterMs), ended]);
    child.kill('SIGKILL');
  }
  const [code] = (await ended) as [number | null];
  return { code, output };
}

const exists = async (id: string) => (await readFile(join(scratch, id), 'utf8').catch(() => '')) !== '';
const states = () => Promise.all(['a', 'b'].map(exists));

it(
  'a real apply and rollback that are killed again and again never overlap and come to their end',
  async () => {
    const directory = await writePlan();
    const began = performance.now();
    expect(await run(['apply', '--plan', directory])).toMatchObject({ code: 0 });
    const ms = performance.now() - began;
    for (let kill = 1; kill <= KILLS; kill++) {
      const command = kill % 2 === 0 ? 'apply' : 'rollback';
      // At another moment each time, from the start of the process to its end.
      await run([command, '--plan', directory], (ms * kill) / KILLS);
      const after = await run([command, '--plan', directory]);
      expect(after).toMatchObject({ code: 0 });
      expect(await states()).toEqual(Array.from({ length: 2 }, () => command === 'apply'));
    }
    // A command that outlived its parent ended before the next one began.
    const lines = (await readFile(join(scratch, 'log'), 'utf8')).trimEnd().split('\n');
    for (const [at, line] of lines.entries())
      expect(`${at}: ${line}`).toBe(`${at}: ${at % 2 === 0 ? 'begin' : 'end'}`);
  },
  PATIENCE_MS,
);
