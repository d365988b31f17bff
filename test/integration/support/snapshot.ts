import { lstat, readdir, readFile, readlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { CniNode } from './cni-node';
import { engineGet } from './engine';

/**
 * Returns the state of a node that a daemon could change, line by line. Equal snapshots mean that nothing
 * has changed.
 */
export async function snapshotOf(
  node: CniNode,
  dockerHost: string,
  directories: readonly string[],
): Promise<string[]> {
  const files = await Promise.all(directories.map(filesBelow));
  return [
    ...files.flat(),
    ...(await rulesOf(node)),
    ...(await mounts(node, dockerHost)),
    ...(await containersOf(dockerHost)),
  ];
}

/**
 * Returns a line for each file, with its inode, size and time of the last change, so that a file that was
 * written again counts as changed.
 */
export async function filesBelow(path: string): Promise<string[]> {
  const stats = await lstat(path, { bigint: true }).catch(() => undefined);
  if (stats === undefined) return [];
  const target = stats.isSymbolicLink() ? await readlink(path) : '';
  const own = `${path} ${stats.mode} ${stats.ino} ${stats.size} ${stats.mtimeNs} ${target}`;
  if (!stats.isDirectory()) return [own];
  const names = (await readdir(path)).sort();
  return [own, ...(await Promise.all(names.map((name) => filesBelow(join(path, name))))).flat()];
}

/**
 * Returns all mounts except those of other tests' Engines and nodes, which may run on this machine at the
 * same time.
 */
async function mounts(node: CniNode, dockerHost: string): Promise<string[]> {
  const own = [node.directory, dirname(new URL(dockerHost).pathname)];
  const lines = (await readFile('/proc/self/mountinfo', 'utf8')).split('\n').sort();
  return lines.filter((line) => {
    const [, , , , place = ''] = line.split(' ');
    return !/\/dockbridge-(engine|cni)-/.test(place) || own.some((path) => place.startsWith(`${path}/`));
  });
}

/** Returns rules without their counters, and links without their temporary states. */
async function rulesOf(node: CniNode): Promise<string[]> {
  const rules = (await node.run('iptables-save')).split('\n').filter((line) => !line.startsWith('#'));
  const links = (await node.run('ip', '-o', 'link')).split('\n');
  return [
    ...rules.map((line) => line.replace(/\[\d+:\d+\]/, '')),
    ...links.map((line) => `link ${line.split(':')[1] ?? ''}`),
  ];
}

async function containersOf(dockerHost: string): Promise<string[]> {
  const all = (await engineGet(dockerHost, '/containers/json?all=1')) as { Id: string; Names: string[] }[];
  return all.map(({ Id, Names }) => `${Id} ${Names.join()}`).sort();
}
