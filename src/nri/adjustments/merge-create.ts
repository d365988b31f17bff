import type { nri } from '../../proto/nri';
import { copyResources, mergeResources, type Resources } from './merge-resources';
import { UpdatesMerge } from './merge-updates';
import { changedList, changedMap, markRemoved, NamedMerge, parseChange, parseKey } from './named';
import { type FieldOwners, Owners } from './owners';

const HOOKS = [
  'prestart',
  'create_runtime',
  'create_container',
  'start_container',
  'poststart',
  'poststop',
] as const;

/** The answers of several plugins to CreateContainer. Each plugin sees the container with the changes of those before it. */
export class CreateMerge {
  private readonly owners = new Owners();
  private readonly mine: FieldOwners;
  private readonly updates: UpdatesMerge;
  private readonly evictions: nri.IContainerEviction[] = [];
  private container: nri.IContainer;
  private linux: nri.ILinuxContainer;
  private readonly seenResources: Resources;

  private readonly annotations: NamedMerge<string>;
  private readonly mounts: NamedMerge<nri.IMount>;
  private readonly env: NamedMerge<nri.IKeyValue>;
  private readonly devices: NamedMerge<nri.ILinuxDevice>;
  private readonly sysctl: NamedMerge<string>;
  private readonly netDevices: NamedMerge<nri.ILinuxNetDevice>;
  private readonly namespaces = new Map<string, nri.ILinuxNamespace>();
  private readonly hooks: Record<(typeof HOOKS)[number], nri.IHook[]> = {
    prestart: [],
    create_runtime: [],
    create_container: [],
    start_container: [],
    poststart: [],
    poststop: [],
  };
  private readonly resources = copyResources(undefined);
  private readonly rlimits: nri.IPOSIXRlimit[] = [];
  private readonly cdiDevices: nri.ICDIDevice[] = [];
  private args: string[] = [];
  private readonly single: Pick<
    nri.ILinuxContainerAdjustment,
    | 'cgroups_path'
    | 'oom_score_adj'
    | 'io_priority'
    | 'seccomp_policy'
    | 'scheduler'
    | 'memory_policy'
    | 'rdt'
  > = {};

  constructor(
    private readonly pod: nri.IPodSandbox,
    container: nri.IContainer,
  ) {
    const id = container.id ?? '';
    this.container = { ...container };
    this.linux = { ...container.linux };
    this.seenResources = copyResources(container.linux?.resources);
    this.mine = this.owners.of(id);
    this.updates = new UpdatesMerge({ kind: 'created', id }, this.owners);
    this.annotations = new NamedMerge('Annotations', this.mine);
    this.mounts = new NamedMerge('Mounts', this.mine);
    this.env = new NamedMerge('Env', this.mine);
    this.devices = new NamedMerge('Devices', this.mine);
    this.sysctl = new NamedMerge('Sysctl', this.mine);
    this.netDevices = new NamedMerge('LinuxNetDevices', this.mine);
  }

  /** The request for the next plugin. */
  get request(): nri.ICreateContainerRequest {
    return {
      pod: this.pod,
      container: { ...this.container, linux: { ...this.linux, resources: this.seenResources } },
    };
  }

  /** @throws RuntimeError FAILED_PRECONDITION when two plugins set the same field. The container must not be created then. */
  apply(plugin: string, answer: nri.ICreateContainerResponse): void {
    const { adjust } = answer;
    if (adjust != null) this.adjust(plugin, adjust);
    this.updates.apply(plugin, answer.update ?? []);
    this.evictions.push(...(answer.evict ?? []));
  }

  /** Returns what the container gets. A removed element has the mark of a removal, as in the answer of a plugin. */
  adjustment(): nri.IContainerAdjustment {
    return {
      annotations: Object.fromEntries(this.annotations.toEntries(() => '')),
      mounts: this.mounts.toEntries((destination) => ({ destination })).map(([, mount]) => mount),
      env: this.env.toEntries((key) => ({ key })).map(([, variable]) => variable),
      hooks: this.hooks,
      rlimits: this.rlimits,
      CDI_devices: this.cdiDevices,
      args: this.args,
      linux: {
        ...this.single,
        devices: this.devices.toEntries((path) => ({ path })).map(([, device]) => device),
        resources: this.resources,
        namespaces: [...this.namespaces.values()],
        sysctl: Object.fromEntries(this.sysctl.toEntries(() => '')),
        net_devices: Object.fromEntries(this.netDevices.toEntries(() => ({}))),
      },
    };
  }

  otherUpdates(): nri.IContainerUpdate[] {
    return this.updates.others();
  }

  otherEvictions(): readonly nri.IContainerEviction[] {
    return this.evictions;
  }

  ownersMessage(): nri.IOwningPlugins {
    return this.owners.toMessage();
  }

  private adjust(plugin: string, asked: nri.IContainerAdjustment): void {
    this.adjustAnnotations(plugin, asked.annotations ?? {});
    this.adjustMounts(plugin, asked.mounts ?? []);
    this.adjustEnv(plugin, asked.env ?? []);
    this.adjustArgs(plugin, asked.args ?? []);
    this.adjustHooks(plugin, asked.hooks ?? {});
    if (asked.linux != null) this.adjustLinux(plugin, asked.linux);
    for (const limit of asked.rlimits ?? []) {
      this.mine.claimKey('Rlimits', limit.type ?? '', plugin);
      this.rlimits.push(limit);
      this.container.rlimits = [...(this.container.rlimits ?? []), limit];
    }
    for (const device of asked.CDI_devices ?? []) {
      this.mine.claimKey('CdiDevices', device.name ?? '', plugin);
      this.cdiDevices.push(device);
    }
  }

  private adjustAnnotations(plugin: string, asked: Record<string, string>): void {
    const change = parseChange(Object.entries(asked));
    this.annotations.apply(plugin, change);
    this.container.annotations = changedMap(this.container.annotations ?? {}, change);
  }

  private adjustMounts(plugin: string, asked: readonly nri.IMount[]): void {
    const change = parseChange(asked.map((mount) => [mount.destination ?? '', mount]));
    this.mounts.apply(plugin, change);
    this.container.mounts = changedList(
      this.container.mounts ?? [],
      (mount) => mount.destination ?? '',
      change,
      (mount) => mount,
    );
  }

  private adjustEnv(plugin: string, asked: readonly nri.IKeyValue[]): void {
    const change = parseChange(asked.map((variable) => [variable.key ?? '', variable]));
    this.env.apply(plugin, change);
    this.container.env = changedList(
      this.container.env ?? [],
      (variable) => variable.split('=', 1)[0] ?? '',
      change,
      ({ key, value }) => `${key ?? ''}=${value ?? ''}`,
    );
  }

  /** A first argument '' means that the plugin replaces the arguments of an earlier one. */
  private adjustArgs(plugin: string, asked: readonly string[]): void {
    if (asked.length === 0) return;
    const replaces = asked[0] === '';
    if (replaces) this.mine.clear('Args', plugin);
    this.mine.claim('Args', plugin);
    this.args = [...(replaces ? asked.slice(1) : asked)];
    this.container.args = this.args;
  }

  private adjustHooks(plugin: string, asked: nri.IHooks): void {
    let isAsked = false;
    for (const kind of HOOKS) {
      const hooks = asked[kind] ?? [];
      if (hooks.length === 0) continue;
      isAsked = true;
      this.hooks[kind].push(...hooks);
      this.container.hooks = {
        ...this.container.hooks,
        [kind]: [...(this.container.hooks?.[kind] ?? []), ...hooks],
      };
    }
    if (isAsked) this.mine.share('OciHooks', plugin);
  }

  private adjustLinux(plugin: string, asked: nri.ILinuxContainerAdjustment): void {
    const devices = parseChange((asked.devices ?? []).map((device) => [device.path ?? '', device]));
    this.devices.apply(plugin, devices);
    this.linux.devices = changedList(
      this.linux.devices ?? [],
      (device) => device.path ?? '',
      devices,
      (device) => device,
    );
    mergeResources(asked.resources, [this.seenResources, this.resources], this.mine, plugin);
    if (asked.cgroups_path != null && asked.cgroups_path !== '') {
      this.mine.claim('CgroupsPath', plugin);
      this.single.cgroups_path = this.linux.cgroups_path = asked.cgroups_path;
    }
    this.adjustOne(plugin, asked, 'oom_score_adj', 'OomScoreAdj');
    this.adjustOne(plugin, asked, 'io_priority', 'IoPriority');
    this.adjustOne(plugin, asked, 'seccomp_policy', 'SeccompPolicy');
    this.adjustNamespaces(plugin, asked.namespaces ?? []);
    const sysctl = parseChange(Object.entries(asked.sysctl ?? {}));
    this.sysctl.apply(plugin, sysctl);
    this.linux.sysctl = changedMap(this.linux.sysctl ?? {}, sysctl);
    const netDevices = parseChange(Object.entries(asked.net_devices ?? {}));
    this.netDevices.apply(plugin, netDevices);
    this.linux.net_devices = changedMap(this.linux.net_devices ?? {}, netDevices);
    this.adjustOne(plugin, asked, 'scheduler', 'LinuxSched');
    this.adjustRdt(plugin, asked.rdt);
    if (asked.memory_policy != null) {
      this.mine.claim('MemoryPolicy', plugin);
      this.single.memory_policy = asked.memory_policy;
    }
  }

  private adjustOne(
    plugin: string,
    asked: nri.ILinuxContainerAdjustment,
    name: 'oom_score_adj' | 'io_priority' | 'seccomp_policy' | 'scheduler',
    field: 'OomScoreAdj' | 'IoPriority' | 'SeccompPolicy' | 'LinuxSched',
  ): void {
    if (asked[name] == null) return;
    this.mine.claim(field, plugin);
    const one = { [name]: asked[name] };
    Object.assign(this.single, one);
    Object.assign(this.linux, one);
  }

  /** Unlike other fields, a namespace that another plugin has set cannot be removed either. */
  private adjustNamespaces(plugin: string, asked: readonly nri.ILinuxNamespace[]): void {
    for (const namespace of asked) {
      const { key, isRemoved } = parseKey(namespace.type ?? '');
      this.mine.claimKey('Namespace', key, plugin);
      this.namespaces.set(key, isRemoved ? { type: markRemoved(key) } : namespace);
      const others = (this.linux.namespaces ?? []).filter(({ type }) => type !== key);
      this.linux.namespaces = isRemoved ? others : [...others, namespace];
    }
  }

  private adjustRdt(plugin: string, asked: nri.ILinuxRdt | null | undefined): void {
    if (asked == null) return;
    let rdt: nri.ILinuxRdt = { ...this.single.rdt };
    if (asked.remove === true) {
      for (const field of ['RdtClosID', 'RdtSchemata', 'RdtEnableMonitoring'] as const)
        this.mine.clear(field, plugin);
      rdt = { remove: true };
    }
    for (const [name, field] of RDT) {
      const value = asked[name];
      if (value == null) continue;
      this.mine.claim(field, plugin);
      rdt = { ...rdt, [name]: value, remove: false };
    }
    this.single.rdt = rdt;
  }
}

const RDT = [
  ['clos_id', 'RdtClosID'],
  ['schemata', 'RdtSchemata'],
  ['enable_monitoring', 'RdtEnableMonitoring'],
] as const;
