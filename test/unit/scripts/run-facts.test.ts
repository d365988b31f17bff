import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const SCRIPT = join(__dirname, '../../../scripts/run-facts.mjs');

describe('run.json', () => {
  let directory: string;
  beforeEach(() => (directory = mkdtempSync(join(tmpdir(), 'dockbridge facts '))));
  afterEach(() => rmSync(directory, { recursive: true }));

  const program = (name: string, says: string) => {
    writeFileSync(join(directory, name), `#!/bin/sh\ncat <<'S'\n${says}\nS\n`);
    chmodSync(join(directory, name), 0o755);
  };
  const facts = (environment: Readonly<Record<string, string>> = {}) => {
    const path = `${directory}:${process.env.PATH}`;
    // The environment of the person who runs these tests must not count.
    const given = { DOCKBRIDGE_TEST_ENGINE: '', CRITEST: '', KUBELET: '' };
    const env = { ...process.env, ...given, PATH: path, ...environment };
    execFileSync(process.execPath, [SCRIPT, directory, '60'], { env, stdio: 'pipe' });
    return JSON.parse(readFileSync(join(directory, 'run.json'), 'utf8')) as Record<string, unknown>;
  };

  it('has the versions that the programs print', () => {
    writeFileSync(join(directory, 'steps'), '5\tpassed\tmake test\n7\tpassed\tmake conformance ENGINE=\n');
    program('dockerd', 'Docker version 20.10.24+dfsg1, build 5d6db84');
    program('containerd', 'containerd github.com/containerd/containerd/v2 2.1.4~ds2 2.1.4~ds2-1');
    program('runc', 'runc version 1.1.5+ds1\ncommit: 1.1.5+ds1-1+deb12u1');
    program('another critest', 'critest version: 1.35.0');
    expect(facts({ CRITEST: join(directory, 'another critest') })).toMatchObject({
      engines: [{ engine: '', dockerd: '20.10.24+dfsg1', containerd: '2.1.4~ds2', runc: '1.1.5+ds1' }],
      critest: '1.35.0',
    });
  });

  it('cannot be made if a program prints no version', () => {
    writeFileSync(join(directory, 'steps'), '5\tpassed\tmake churn\n');
    for (const name of ['dockerd', 'containerd', 'runc']) program(name, 'unknown');
    expect(() => facts()).toThrow('does not say its version');
  });

  it('includes this machine, and the versions that a run builds', () => {
    const run = facts();
    expect(run).toMatchObject({ seconds: 60, engines: [], node: process.versions.node });
    expect(Date.now() - Date.parse(String(run.began))).toBeGreaterThanOrEqual(60_000);
    for (const built of ['critest', 'kubelet']) expect(run[built]).toMatch(/^\d+\.\d+\.\d+$/);
  });
});
