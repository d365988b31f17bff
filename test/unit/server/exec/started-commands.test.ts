import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '../../../../src/lib/logger';
import { StartedCommands } from '../../../../src/server/exec/started-commands';
import { until } from '../../support/async';
import { engineId } from '../../support/records';

const [CONTAINER, EXEC] = [engineId('c1'), engineId('e1')];
const COMMAND = { containerId: CONTAINER, execId: EXEC };

describe('started commands', () => {
  let root: string;
  let directory: string;
  let warnings: unknown[];
  const logger = {
    ...silentLogger,
    warn: (message: string, fields: unknown) => warnings.push([message, fields]),
  };
  beforeEach(async () => {
    warnings = [];
    root = await mkdtemp(join(tmpdir(), 'dockbridge-commands-'));
    directory = join(root, 'deep/commands');
  });
  afterEach(() => rm(root, { recursive: true, force: true }));

  const open = () => StartedCommands.open(directory, logger);
  const files = () => readdir(directory);
  async function untilFiles(count: number): Promise<void> {
    let found = -1;
    const look = async (): Promise<void> => {
      while (found !== count) found = (await files()).length;
    };
    void look();
    await until(() => found === count, `${count} files`);
  }

  it('are recorded as files in a directory that only root may read, until they end', async () => {
    const commands = await open();
    expect([commands.left, (await stat(directory)).mode & 0o777]).toEqual([[], 0o700]);
    const forget = commands.note(COMMAND);
    await untilFiles(1);
    expect(await files()).toEqual([`${CONTAINER}.${EXEC}`]);
    expect((await open()).left).toEqual([COMMAND]);
    forget();
    await untilFiles(0);
    expect(warnings).toEqual([]);
  });

  it('of an earlier daemon are found by the names of their files, whatever other files are there', async () => {
    await open();
    const names = [
      `${CONTAINER}.${EXEC}`,
      'README',
      `${CONTAINER}.x`,
      `x${CONTAINER}.${EXEC}`,
      `${CONTAINER}.${EXEC}0`,
    ];
    for (const name of names) await writeFile(join(directory, name), '');
    expect((await open()).left).toEqual([COMMAND]);
  });

  it.each(['../x', '', EXEC.toUpperCase()])('are not recorded under the invalid id %j', async (execId) => {
    const commands = await open();
    commands.note({ containerId: CONTAINER, execId })();
    commands.note({ containerId: execId, execId: EXEC })();
    const forget = commands.note(COMMAND);
    await untilFiles(1);
    expect(await files()).toEqual([`${CONTAINER}.${EXEC}`]);
    forget();
    await untilFiles(0);
  });

  it('need no directory: a failure to create it is logged, and so is the first of several failed writes', async () => {
    await writeFile(join(root, 'deep'), 'in the way');
    const commands = await open();
    expect(commands.left).toEqual([]);
    expect(warnings.splice(0)).toEqual([
      [
        'Cannot record commands; if this daemon is killed, they keep running',
        { error: expect.any(String) as string },
      ],
    ]);
    commands.note(COMMAND)();
    commands.note(COMMAND)();
    await until(() => warnings.length > 0, 'the warning');
    await rm(join(root, 'deep'));
    await open();
    const forget = commands.note(COMMAND);
    await untilFiles(1);
    forget();
    await untilFiles(0);
    expect(warnings).toEqual([
      ['Cannot record a command on disk', { container: CONTAINER, error: 'ENOTDIR' }],
    ]);
    await rm(directory, { recursive: true });
    commands.note(COMMAND);
    await until(() => warnings.length === 2, 'the next warning');
  });

  it('of an observing daemon are not recorded', () => {
    const none = StartedCommands.none(logger);
    none.note(COMMAND)();
    expect([none.left, warnings]).toEqual([[], []]);
  });
});
