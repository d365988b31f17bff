import { probedEffects, withoutNames } from '../../../../src/harness/effects/assemble';
import { cgroupEffects } from '../../../../src/harness/effects/cgroup-effects';
import { logEffects, parseCriLog } from '../../../../src/harness/effects/log-effects';
import { mountEffects } from '../../../../src/harness/effects/mount-effects';
import { namespaceEffects } from '../../../../src/harness/effects/namespace-effects';
import { probe, sectionsIn } from '../../../../src/harness/effects/probe';
import { processEffects } from '../../../../src/harness/effects/process-effects';
import { surroundingsEffects } from '../../../../src/harness/effects/surroundings-effects';

const asObject = (map: ReadonlyMap<string, unknown>): Record<string, unknown> => Object.fromEntries(map);

describe('a process', () => {
  const status = [
    ...['Umask:\t0022', 'Uid:\t1000\t1000\t1000\t1000', 'Gid:\t5\t6\t5\t5', 'Groups:\t5 3000 '],
    ...['CapInh:\t0000000000000000', 'CapPrm:\t0000000000000400', 'CapEff:\t0000000000000400'],
    ...['CapBnd:\t0000000000000401', 'CapAmb:\t0000000000000000', 'NoNewPrivs:\t1', 'Seccomp:\t2', ''],
  ].join('\n');

  it('has capabilities, limits, an environment and open files', () => {
    const sections = new Map([
      ['main.status', status],
      ['main.limits', 'Max open files            1024                 4096                 files     \n'],
      ['main.environ', 'PATH=/bin\0TEXT=a=b\nc\0EMPTY=\0'],
      ['main.oom_score_adj', '-997\n'],
      ['main.cwd', '/made/for/this'],
      ['main.label', 'docker-default (enforce)\n'],
      ['main.fd.0', '/dev/null'],
      ['main.fd.1', 'pipe:[4711]'],
      ['main.fd.2', '/dev/pts/3'],
      ['exec.oom_score_adj', '0\n'],
    ]);
    expect(asObject(processEffects(sections, 'main'))).toEqual({
      uid: '1000',
      gid: '5 6 5 5',
      groups: ['5', '3000'],
      umask: '0022',
      no_new_privs: 'yes',
      seccomp: 'filter',
      'capabilities.inheritable': [],
      'capabilities.permitted': ['NET_BIND_SERVICE'],
      'capabilities.effective': ['NET_BIND_SERVICE'],
      'capabilities.bounding': ['CHOWN', 'NET_BIND_SERVICE'],
      'capabilities.ambient': [],
      'limit open files': 'soft 1024 hard 4096',
      'env PATH': '"/bin"',
      'env TEXT': '"a=b\\nc"',
      'env EMPTY': '""',
      oom_score_adj: '-997',
      'working directory': '/made/for/this',
      'security label': 'docker-default (enforce)',
      'fd 0': '/dev/null',
      'fd 1': 'pipe',
      'fd 2': 'terminal',
    });
    expect(asObject(processEffects(sections, 'exec'))).toEqual({ 'exec.oom_score_adj': '0' });
  });
});

describe('mounts', () => {
  const mountinfo = [
    '1 0 0:50 / / rw,relatime master:5 - overlay overlay rw,lowerdir=/a,upperdir=/b',
    '2 1 0:51 / /proc rw,nosuid,nodev,noexec,relatime - proc proc rw',
    '3 2 0:51 /sys /proc/sys ro,nosuid,nodev,noexec,relatime - proc proc rw',
    '4 2 0:52 /null /proc/kcore rw,nosuid - tmpfs tmpfs rw,size=65536k,mode=755',
    '5 2 0:53 / /proc/acpi ro,relatime - tmpfs tmpfs ro,size=0k',
    '6 1 0:54 / /sys ro,nosuid,nodev,noexec,relatime - sysfs sysfs ro',
    '7 6 0:55 / /sys/fs/cgroup ro,nosuid - tmpfs tmpfs rw,mode=755',
    '13 7 0:57 /x /sys/fs/cgroup/pids ro,nosuid master:9 - cgroup cgroup rw,pids',
    '8 1 0:56 / /dev/shm rw,nosuid,nodev,noexec,relatime - tmpfs shm rw,size=65536k,inode64',
    '9 1 8:1 /var/run-x/mounts/data /effects/data rw,noatime shared:3 master:4 - ext4 /dev/sda1 rw',
    '10 1 8:1 /var/lib/docker/containers/1/hosts /etc/hosts rw,relatime - ext4 /dev/sda1 rw',
    '11 1 0:60 / /twice rw - tmpfs one rw',
    '12 1 0:61 / /twice ro - tmpfs two rw,size=4k',
    '',
  ].join('\n');

  it('are described by their relevant properties, and hidden and read-only paths are sets', () => {
    expect(asObject(mountEffects(mountinfo, 'run-x'))).toEqual({
      'mount /': 'overlay rw slave',
      'mount /proc': 'proc nodev,noexec,nosuid,rw',
      'mount /sys': 'sysfs nodev,noexec,nosuid,ro',
      'mount /sys/fs/cgroup': 'tmpfs nosuid,ro mode=755',
      'mount /dev/shm': 'tmpfs nodev,noexec,nosuid,rw size=65536k',
      'mount /effects/data': 'bind rw of mounts/data shared slave',
      'mount /etc/hosts': 'bind rw',
      'mount /twice': 'tmpfs ro size=4k',
      controllers: ['pids: cgroup nosuid,ro slave'],
      'masked paths': ['/proc/kcore', '/proc/acpi'],
      'read-only paths': ['/proc/sys'],
    });
  });
});

describe('cgroups', () => {
  it('of both versions have their limits under the names of the files', () => {
    const sections = new Map([
      ['cgroup1.memory/memory.limit_in_bytes', '9223372036854771712\n'],
      ['cgroup1.cpu/cpu.cfs_quota_us', '-1\n'],
      ['cgroup1.devices/devices.list', 'c 1:3 rwm\nc 1:5 r\n'],
      ['cgroup2.cpu.max', '50000 100000\n'],
      ['cgroup2.memory.max', '67108864\n'],
      ['main.cgroup', '4:memory:/docker/x\n3:cpu,cpuacct:/docker/x\n0::/\n'],
    ]);
    expect(asObject(cgroupEffects(sections))).toEqual({
      'cgroup memory.limit_in_bytes': 'max',
      'cgroup cpu.cfs_quota_us': '-1',
      'cgroup devices.list': ['c 1:3 rwm', 'c 1:5 r'],
      'cgroup cpu.max': '50000 100000',
      'cgroup memory.max': '67108864',
      'cgroup path': ['/docker/x', '/'],
    });
  });
});

describe('the environment of a container', () => {
  it('contains names, files, kernel settings, devices, interfaces and results of attempts', () => {
    const sections = new Map([
      ['hostname', 'web-0\n'],
      ['/etc/hostname', 'web-0\n'],
      ['/etc/hosts', '# made by kubelet\n127.0.0.1\tlocalhost  lo # me\n\n'],
      [
        '/etc/resolv.conf',
        '; note\nsearch a b\nnameserver 192.0.2.1\nnameserver 192.0.2.2\noptions ndots:5 edns0\n',
      ],
      ['sysctl.net.ipv4.ping_group_range', '0\t1000\n'],
      [
        'devices',
        '/dev/null|character special file|1:3|666|0:0\n/dev/vda|block special file|fe:0|660|0:6\n' +
          '/dev/shm|directory|0:0|1777|0:0\n/dev/fd|symbolic link|0:0|777|0:0\nnonsense\n',
      ],
      ['interfaces', 'eth0 1500\nlo 65536\n'],
      ['access', 'write /effects/ro no\nread /dev/effects-zero yes\nping no\n'],
    ]);
    expect(asObject(surroundingsEffects(sections))).toEqual({
      hostname: 'web-0',
      '/etc/hostname': 'web-0',
      '/etc/hosts': ['127.0.0.1 localhost lo'],
      'resolv.conf nameserver': '192.0.2.1 192.0.2.2',
      'resolv.conf search': 'a b',
      'resolv.conf options': ['ndots:5', 'edns0'],
      'sysctl net.ipv4.ping_group_range': '0 1000',
      devices: [
        '/dev/null c 1:3 666 0:0',
        '/dev/vda b 254:0 660 0:6',
        '/dev/shm directory 1777 0:0',
        '/dev/fd link',
      ],
      interfaces: ['eth0 1500', 'lo 65536'],
      'can write /effects/ro': 'no',
      'can read /dev/effects-zero': 'yes',
      'can ping': 'no',
    });
  });

  it('says whether a namespace is the node’s, the pod’s or the container’s own', () => {
    const first = new Map([
      ['namespace.net', 'net:[1]'],
      ['namespace.pid', 'pid:[2]'],
      ['namespace.user', 'user:[9]'],
      ['hostname', 'x'],
    ]);
    const second = new Map([
      ['namespace.net', 'net:[1]'],
      ['namespace.pid', 'pid:[3]'],
      ['namespace.user', 'user:[9]'],
    ]);
    const expected = { 'namespace net': 'pod', 'namespace pid': 'own', 'namespace user': 'node' };
    expect(namespaceEffects([first, second], new Map([['user', 'user:[9]']])).map(asObject)).toEqual([
      expected,
      expected,
    ]);
  });
});

describe('a log', () => {
  const time = '2026-11-30T04:00:00.000000000Z';

  it('has the lines of each stream in order, with hashes for long lines and escapes for invalid bytes', () => {
    const long = 'x'.repeat(61);
    const text =
      `${time} stdout P one\n${time} stderr F err\n${time} stdout F \n` +
      `${time} stdout F ${long}\n${time} stdout F \xff\xfe\n${time} stdout F \xc3\xb6\n${time} stdout F half`;
    expect(asObject(logEffects(text))).toEqual({
      'log stdout 1': 'P "one"',
      'log stderr 1': 'F "err"',
      'log stdout 2': 'F ""',
      'log stdout 3': 'F 61 bytes, sha256 c508e75f24e2…',
      'log stdout 4': 'F bytes fffe',
      'log stdout 5': 'F "ö"',
      'log stdout 6': 'F "half"',
      'log times': 'RFC 3339',
    });
  });

  it('counts lines of another format', () => {
    expect(parseCriLog(`${time} stdout F a b\nnonsense\n${time} stdout X y\n`)).toEqual({
      lines: [{ time, stream: 'stdout', tag: 'F', content: 'a b' }],
      foreign: 2,
    });
    expect(logEffects('yesterday stdout F a\n').get('log times')).toBe('cannot be read');
    expect(logEffects('{"log":"a"}\n').get('log lines of another format')).toBe('1');
  });
});

describe('the probe', () => {
  it('splits the sections, whatever they contain', () => {
    const output = 'noise\n--x main\n/proc/1\n--x main.environ\nA=1\0B=\n--y z\n\n--x end\n';
    expect([...sectionsIn(output, '--x')]).toEqual([
      ['main', '/proc/1'],
      ['main.environ', 'A=1\0B=\n--y z\n'],
      ['end', ''],
    ]);
  });

  it('runs one command, and says why it found nothing', async () => {
    const commands: (readonly string[])[] = [];
    const answering = (stdout: string) => ({
      exec: (command: readonly string[]) => {
        commands.push(command);
        return Promise.resolve({
          stdout: stdout.replaceAll('BOUNDARY', command[4] ?? ''),
          stderr: 'sh: not found\n',
          exitCode: 127,
        });
      },
    });
    const sections = await probe(answering('\nBOUNDARY main\n/proc/7\nBOUNDARY end\n'), 'marker');
    expect(sections.get('main')).toBe('/proc/7');
    expect(commands).toHaveLength(1);
    expect(commands[0]?.[5]).toBe('marker');
    await expect(probe(answering(''), 'marker')).rejects.toThrow('(exit code 127): sh: not found');
    await expect(probe(answering('\nBOUNDARY main\n\nBOUNDARY end\n'), 'marker')).rejects.toThrow(
      "did not find the container's main process",
    );
  });
});

it('placeholders replace the names of a run in the names and values of all effects', () => {
  const effects = new Map<string, string | readonly string[]>([
    ['/etc/hosts', ['10.1.2.3 pod']],
    ['cgroup path', '/docker/abcdef'],
    ['mount /x/abcdef', 'bind'],
  ]);
  const names = [
    ['abcdef', '<container>'],
    ['', '<none>'],
    ['10.1.2.3', '<address 1>'],
  ] as const;
  expect(asObject(withoutNames(effects, names))).toEqual({
    '/etc/hosts': ['<address 1> pod'],
    'cgroup path': '/docker/<container>',
    'mount /x/<container>': 'bind',
  });
  expect(probedEffects(new Map(), 'x').get('masked paths')).toEqual([]);
});
