import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { readKubeletSnapshot } from '../../../../src/migrate/gather/kubelet';
import { NodeRoot } from '../../../../src/migrate/gather/node-root';

const configOf = (driver: string) =>
  `apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\ncgroupDriver: ${driver}\n`;

let scratch: string;
let root: string;
beforeEach(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'gather-kubelet-'));
  root = join(scratch, 'node');
  await put('outside.yaml', configOf('cgroupfs'));
});
afterEach(() => rm(scratch, { recursive: true }));

async function put(path: string, text: string): Promise<void> {
  await mkdir(dirname(join(scratch, path)), { recursive: true });
  await writeFile(join(scratch, path), text);
}

async function link(target: string, path: string): Promise<void> {
  await mkdir(dirname(join(scratch, path)), { recursive: true });
  await symlink(target, join(scratch, path));
}

const running = (...args: string[]) => [{ name: 'kubelet' as const, pid: 7, args }];

describe('readKubeletSnapshot', () => {
  it('follows links of the node below its root', async () => {
    await put('node/etc/k.yaml', configOf('systemd'));
    await link('/etc/k.yaml', 'node/var/lib/kubelet/config.yaml');
    expect((await readKubeletSnapshot(new NodeRoot(root), []))?.cgroupDriver.value).toBe('systemd');
  });

  it('reads no file of this machine when no kubelet runs', async () => {
    await link(join(scratch, 'outside.yaml'), 'node/var/lib/kubelet/config.yaml');
    await put('node/var/lib/kubelet/kubeadm-flags.env', 'KUBELET_KUBEADM_ARGS="--v=2"\n');
    expect((await readKubeletSnapshot(new NodeRoot(root), []))?.cgroupDriver.value).toBe('');
  });

  it('reads no file of this machine through the root directory of the process', async () => {
    await link(join(scratch, 'outside.yaml'), 'node/proc/7/root/etc/k.yaml');
    await link(join(scratch, 'outside.yaml'), 'node/proc/7/root/etc/k.d/10.conf');
    await put('directory/20.conf', configOf('cgroupfs'));
    await link(join(scratch, 'directory'), 'node/proc/7/root/etc/k.d/more');
    const found = await readKubeletSnapshot(
      new NodeRoot(root),
      running('--config=/etc/k.yaml', '--config-dir=/etc/k.d'),
    );
    expect(found?.cgroupDriver.value).toBe('');
    expect(found?.problems).toHaveLength(2);
  });
});
