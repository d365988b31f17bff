// Writes a CycloneDX bill of materials of a package, with the same bytes each time.
//
//   sbom.mjs ARCH LIB PACKAGES FILE   LIB: the directory with the program, its Node.js and its pause image;
//                                     PACKAGES: the packages.json that bundle.mjs has written
//
// SOURCE_DATE_EPOCH: the date of the bill.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Buffer } from 'node:buffer';
import process from 'node:process';
import { fileURLToPath, URL } from 'node:url';

const json = (path) => JSON.parse(readFileSync(fileURLToPath(new URL(path, import.meta.url)), 'utf8'));
const [arch, lib, packages, file] = process.argv.slice(2);
const { version, description, license } = json('../package.json');
const lock = json('../package-lock.json').packages;
const pins = json('node.json');

/** Returns a checksum such as npm's `sha512-…` in CycloneDX's form. */
function hashesOf(integrity) {
  const [, algorithm, digest] = /^sha(\d+)-(.+)$/.exec(integrity ?? '') ?? [];
  if (digest === undefined) throw new Error(`'${integrity}' is not one of npm's checksums`);
  return [{ alg: `SHA-${algorithm}`, content: Buffer.from(digest, 'base64').toString('hex') }];
}
const fileHashes = (name) => [
  {
    alg: 'SHA-256',
    content: createHash('sha256')
      .update(readFileSync(join(lib, name)))
      .digest('hex'),
  },
];
const purl = (name, of) => `pkg:npm/${name.replace('@', '%40')}@${of}`;
const licences = (text) =>
  text === undefined
    ? {}
    : { licenses: /[ (]/.test(text) ? [{ expression: text }] : [{ license: { id: text } }] };

const bundled = JSON.parse(readFileSync(packages, 'utf8')).map((one) => ({
  type: 'library',
  'bom-ref': `${purl(one.name, one.version)}#${one.directory}`,
  name: one.name,
  version: one.version,
  hashes: hashesOf(lock[one.directory]?.integrity),
  ...licences(one.license),
  purl: purl(one.name, one.version),
}));

/** Keys of process.versions that name no library: Node.js itself, and versions of interfaces and of data. */
const NO_CODE = new Set(['node', 'modules', 'napi', 'cldr', 'unicode', 'tz']);

/**
 * Returns the libraries that are built into Node.js, as reported by the binary for this machine. The binary for the other
 * architecture has the same version.
 */
function builtIntoNode() {
  const here = { x64: 'amd64', arm64: 'arm64' }[process.arch];
  if (here === undefined) throw new Error(`packaging/node.json has no Node.js for ${process.arch}`);
  const node = execFileSync(process.execPath, [fileURLToPath(new URL('node.mjs', import.meta.url)), here], {
    encoding: 'utf8',
  }).trim();
  const versions = JSON.parse(
    execFileSync(join(node, 'bin/node'), ['-p', 'JSON.stringify(process.versions)'], { encoding: 'utf8' }),
  );
  return Object.entries(versions)
    .filter(([name]) => !NO_CODE.has(name))
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .map(([name, of]) => ({ type: 'library', 'bom-ref': `node/${name}`, name, version: of }));
}
const node = pins[arch];
const nodeRef = `node@${pins.version}`;
const inside = builtIntoNode();

const components = [
  ...bundled,
  {
    type: 'platform',
    'bom-ref': nodeRef,
    name: 'node',
    version: pins.version,
    description: 'Node.js, stripped of symbols',
    hashes: fileHashes('node'),
    cpe: `cpe:2.3:a:nodejs:node.js:${pins.version}:*:*:*:lts:*:*:*`,
    purl: purl(node.package, pins.version),
    externalReferences: [
      {
        type: 'distribution',
        url: `https://registry.npmjs.org/${node.package}/-/${node.package}-${pins.version}.tgz`,
        hashes: hashesOf(node.integrity),
      },
    ],
    components: inside,
  },
  {
    type: 'file',
    'bom-ref': 'pause.tar',
    name: 'pause/pause.tar',
    version,
    description: 'image of the pause container, built from docker/pause in the same repository',
    hashes: fileHashes('pause/pause.tar'),
    licenses: [{ license: { id: license } }],
  },
  {
    type: 'file',
    'bom-ref': 'notify-helper',
    name: 'notify-helper',
    version,
    description:
      'program that sends signs of life to systemd, built from native/notify-helper in the same repository',
    hashes: fileHashes('notify-helper'),
    licenses: [{ license: { id: license } }],
  },
];
const root = `dockbridge@${version}`;
const document = {
  $schema: 'http://cyclonedx.org/schema/bom-1.5.schema.json',
  bomFormat: 'CycloneDX',
  specVersion: '1.5',
  version: 1,
  metadata: {
    timestamp: new Date(Number(process.env.SOURCE_DATE_EPOCH) * 1000).toISOString(),
    component: {
      type: 'application',
      'bom-ref': root,
      name: 'dockbridge',
      version,
      description,
      licenses: [{ license: { id: license } }],
      properties: [{ name: 'architecture', value: arch }],
    },
  },
  components,
  dependencies: [
    { ref: root, dependsOn: components.map((one) => one['bom-ref']) },
    { ref: nodeRef, dependsOn: inside.map((one) => one['bom-ref']) },
  ],
};
// A UUID of version 8 (a custom format), made from the content, so that two builds of the same content have the same UUID.
const digest = createHash('sha256').update(JSON.stringify(document)).digest('hex');
const serial = `${digest.slice(0, 8)}-${digest.slice(8, 12)}-8${digest.slice(13, 16)}-a${digest.slice(17, 20)}-${digest.slice(20, 32)}`;
const { $schema, bomFormat, specVersion, ...rest } = document;
writeFileSync(
  file,
  `${JSON.stringify({ $schema, bomFormat, specVersion, serialNumber: `urn:uuid:${serial}`, ...rest }, null, 2)}\n`,
);
