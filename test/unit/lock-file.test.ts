import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * When npm writes the lock file next to a node_modules of one platform, it can omit the native packages of
 * all others (npm/cli#4828). `npm ci` then succeeds there, but jest cannot load its compiler.
 */
interface LockedPackage {
  readonly integrity?: string;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
  readonly os?: readonly string[];
  readonly cpu?: readonly string[];
  readonly libc?: readonly string[];
}

const { packages } = JSON.parse(readFileSync(join(__dirname, '../../package-lock.json'), 'utf8')) as {
  packages: Readonly<Record<string, LockedPackage>>;
};

/** Returns the package that Node.js would load, from the nearest node_modules above. */
function locked(name: string, from: string): LockedPackage | undefined {
  for (let above = from; ; above = above.slice(0, Math.max(0, above.lastIndexOf('/node_modules/')))) {
    const found = packages[`${above}/node_modules/${name}`.replace(/^\//, '')];
    if (found !== undefined || above === '') return found;
  }
}

const PLATFORMS = [
  { os: 'linux', cpu: 'x64', libc: 'glibc' },
  { os: 'linux', cpu: 'x64', libc: 'musl' },
  { os: 'linux', cpu: 'arm64', libc: 'glibc' },
  { os: 'linux', cpu: 'arm64', libc: 'musl' },
  { os: 'darwin', cpu: 'x64' },
  { os: 'darwin', cpu: 'arm64' },
] as const;

const serves = (native: LockedPackage, platform: (typeof PLATFORMS)[number]) =>
  native.os?.includes(platform.os) === true &&
  native.cpu?.includes(platform.cpu) === true &&
  (!('libc' in platform) || native.libc === undefined || native.libc.includes(platform.libc));

const natives = Object.entries(packages).flatMap(([path, { optionalDependencies = {} }]) => {
  const children = Object.keys(optionalDependencies).map((name) => locked(name, path));
  return children.some((child) => child?.os !== undefined) ? [{ path, children }] : [];
});

describe('package-lock.json', () => {
  it('has each package that another one requires, including those of other platforms', () => {
    const missing = Object.entries(packages).flatMap(([path, { dependencies, optionalDependencies }]) =>
      Object.keys({ ...dependencies, ...optionalDependencies })
        .filter((name) => locked(name, path) === undefined)
        .map((name) => `${path} asks for ${name}`),
    );
    expect(missing).toEqual([]);
  });

  it('has a checksum for each package', () => {
    const open = Object.entries(packages).filter(([path, { integrity }]) => path !== '' && !integrity);
    expect(open).toEqual([]);
  });

  it('lists packages with native parts', () => {
    expect(natives.map(({ path }) => path)).toContain('node_modules/@swc/core');
  });

  it.each(natives)('has the native parts of $path for Linux and macOS', ({ children }) => {
    const unserved = PLATFORMS.filter(
      (platform) => !children.some((child) => child !== undefined && serves(child, platform)),
    );
    expect(unserved).toEqual([]);
  });
});
