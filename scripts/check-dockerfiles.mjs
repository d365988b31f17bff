// Fails if two builds of a Dockerfile may differ, or if its image is larger than necessary. It looks for a base without a version,
// for ADD of a URL, and for package lists that stay in a layer.
//
//   check-dockerfiles.mjs [FILE...]   default: all Dockerfiles that git tracks
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import process from 'node:process';

const given = process.argv.slice(2);
const known = () =>
  execFileSync('git', ['ls-files', '*Dockerfile'], { encoding: 'utf8' }).split('\n').filter(Boolean);
const files = given.length > 0 ? given : known();
if (files.length === 0) throw new Error('check-dockerfiles: there is no Dockerfile');

function faultsOf(text) {
  const defaults = new Map();
  const stages = new Set(['scratch']);
  const faults = [];
  const instructions = text.replace(/^\s*#.*\n/gm, '').replace(/\\\n/g, ' ');
  for (const [, name, rest] of instructions.matchAll(/^\s*([A-Za-z]+)[ \t]+(.+)$/gm)) {
    const words = rest.trim().split(/\s+/);
    switch (name.toUpperCase()) {
      case 'ARG': {
        const [, variable, value] = /^(\w+)=?"?([^"]*)/.exec(rest);
        defaults.set(variable, value);
        break;
      }
      case 'FROM': {
        const [image, , stage] = words.filter((word) => !word.startsWith('--'));
        const base = image.replace(/\$\{?(\w+)\}?/g, (_, variable) => defaults.get(variable) ?? '');
        if (!stages.has(base) && !/@sha256:|:(?!latest$)[\w.-]+$/.test(base))
          faults.push(`FROM ${base} names no version`);
        if (stage !== undefined) stages.add(stage);
        break;
      }
      case 'ADD':
        if (words.some((word) => /^\w+:\/\/|^git@/.test(word)))
          faults.push(`ADD ${rest} fetches: COPY a file, or RUN with a checksum`);
        break;
      case 'RUN':
        if (/\bapt(-get)?\b.* install\b/.test(rest) && !rest.includes('/var/lib/apt/lists'))
          faults.push('RUN leaves the lists of apt-get in its layer: rm -rf /var/lib/apt/lists/*');
    }
  }
  return faults;
}

for (const file of files)
  for (const fault of faultsOf(readFileSync(file, 'utf8'))) {
    process.stderr.write(`${file}: ${fault}\n`);
    process.exitCode = 1;
  }
