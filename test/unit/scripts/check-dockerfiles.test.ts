import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const ROOT = join(__dirname, '../../..');

/** @returns the output of the check for a Dockerfile; '' if it has no fault. */
async function faults(text: string): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'dockbridge-dockerfile-'));
  const file = join(directory, 'Dockerfile');
  try {
    await writeFile(file, text);
    await run(process.execPath, [join(ROOT, 'scripts/check-dockerfiles.mjs'), file]);
    return '';
  } catch (error) {
    return (error as { stderr: string }).stderr.replaceAll(`${file}: `, '');
  } finally {
    await rm(directory, { recursive: true });
  }
}

describe('check-dockerfiles', () => {
  it.each([
    ['FROM debian\n', /FROM debian names no version/],
    ['FROM debian:latest\n', /names no version/],
    ['FROM registry.test:5000/debian\n', /names no version/],
    ['ARG BASE=debian:latest\nFROM ${BASE}\n', /FROM debian:latest names/],
    ['FROM debian:12\nADD https://example.test/file /\n', /fetches/],
    ['FROM debian:12\nRUN apt-get update && \\\n  apt-get install -y gcc\n', /lists of apt-get/],
  ])('finds the fault in %j', async (text, fault) => {
    expect(await faults(text)).toMatch(fault);
  });

  it('accepts versions, digests, stages, local archives and lists that are removed', async () => {
    const text = [
      'ARG BASE=debian:12-slim',
      'FROM --platform=linux/amd64 debian:12 AS build',
      '# ADD https://example.test/ is in a comment',
      'RUN apt-get update && apt-get install -y gcc && \\',
      '  rm -rf /var/lib/apt/lists/*',
      'FROM ${BASE}',
      'FROM build',
      `FROM debian@sha256:${'0'.repeat(64)}`,
      'FROM scratch',
      'ADD packages/*.tar.gz /payload/',
    ];
    expect(await faults(`${text.join('\n')}\n`)).toBe('');
  });
});
