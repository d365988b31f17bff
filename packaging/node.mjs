// Fetches the Node.js that a package contains from npm's registry, once, and checks it against packaging/node.json.
//
//   node.mjs ARCH   prints the directory, which has bin/node and LICENSE; ARCH: amd64 or arm64
//
// DOCKBRIDGE_CACHE: the directory that keeps it; default: /var/cache/dockbridge.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath, URL } from 'node:url';

const pins = JSON.parse(readFileSync(fileURLToPath(new URL('node.json', import.meta.url)), 'utf8'));
const [arch = ''] = process.argv.slice(2);
if (!(arch in pins)) throw new Error(`node.mjs: there is no Node.js for '${arch}' in packaging/node.json`);
const { package: name, integrity } = pins[arch];
const cache = process.env.DOCKBRIDGE_CACHE || '/var/cache/dockbridge';
const target = join(cache, `${name}-${pins.version}`);

if (!existsSync(target)) {
  mkdirSync(cache, { recursive: true });
  const work = mkdtempSync(join(cache, 'building.'));
  try {
    execFileSync('npm', ['pack', '--silent', '--pack-destination', work, `${name}@${pins.version}`], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    const archive = join(work, `${name}-${pins.version}.tgz`);
    const found = `sha512-${createHash('sha512').update(readFileSync(archive)).digest('base64')}`;
    if (found !== integrity)
      throw new Error(`${name}@${pins.version} is ${found}, packaging/node.json has ${integrity}`);
    execFileSync('tar', ['-C', work, '-xzf', archive, 'package/bin/node', 'package/LICENSE']);
    try {
      renameSync(join(work, 'package'), target);
    } catch (error) {
      // A simultaneous build has already put the directory there, with the same checksum.
      if (error.code !== 'ENOTEMPTY') throw error;
    }
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
console.log(target);
