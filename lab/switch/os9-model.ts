import type { Clock } from '../../plugin-api/index.ts';
import type { Os9Config, PortConfig, UserConfig, VlanConfig } from './os9-config.ts';
import { newPort, newVlan } from './os9-config.ts';
import type { Os9Knobs } from './os9-knobs.ts';
import { defaultKnobs } from './os9-knobs.ts';
import { Os9Lines } from './os9-lines.ts';
import { Os9Refusal } from './os9-refusal.ts';
import type { PortName } from './os9-port-name.ts';
import { comparePorts, portName, shortPort } from './os9-port-name.ts';

/** What a port really does with frames. */
export interface EffectivePort {
  /** The VLAN of untagged frames, or null when they are dropped. */
  readonly native: number | null;
  /** Ascending. */
  readonly tagged: readonly number[];
  /** Whether the port passes frames at all. */
  readonly up: boolean;
}

/** Ports of which the effective state changed. Told synchronously, before the command that did it is answered. */
export interface Os9Change {
  readonly ports: readonly PortName[];
}

export interface Os9ModelOptions {
  readonly hostname: string;
  readonly ports: readonly PortName[];
  /** Null = the null VLAN. Default 1. */
  readonly defaultVlan?: number | null;
  readonly users?: Readonly<Record<string, UserConfig>>;
  readonly enableSecret?: string | null;
  readonly vtyLines?: number;
  readonly knobs?: Partial<Os9Knobs>;
  readonly clock: Clock;
}

const nowhere: EffectivePort = { native: null, tagged: [], up: false };

/**
 * A Dell OS9 switch without any text: configuration, the rules of VLAN membership, and what follows for each port. The
 * edits are the switch's commands; a forbidden one throws {@link Os9Refusal} with what the switch would say.
 * VLAN membership rules: Dell OS9 configuration guide, chapter "Virtual LANs"; what it leaves open is a knob.
 */
export class Os9Model {
  readonly knobs: Os9Knobs;
  readonly lines: Os9Lines;
  readonly clock: Clock;
  readonly #listeners = new Set<(change: Os9Change) => void>();
  readonly #unplugged = new Set<PortName>();
  #running: Os9Config;
  #startup: Os9Config;
  #offline = false;
  #lastChange: { at: number; by: string } | null = null;
  #lastSave: { at: number; by: string } | null = null;

  constructor(options: Os9ModelOptions) {
    this.knobs = { ...defaultKnobs, ...options.knobs };
    this.clock = options.clock;
    this.lines = new Os9Lines(options.vtyLines ?? 10);
    const defaultVlan = options.defaultVlan === undefined ? 1 : options.defaultVlan;
    const ports = options.ports.map((text) => {
      const name = portName(text);
      if (name === null) throw new Error(`"${text}" is not a port name`);
      return name;
    });
    this.#running = {
      hostname: options.hostname,
      defaultVlan,
      enableSecret: options.enableSecret ?? null,
      users: new Map(Object.entries(options.users ?? {})),
      ports: new Map(ports.sort(comparePorts).map((name) => [name, newPort()])),
      vlans: new Map([[defaultVlan ?? 1, newVlan(false)]]),
      exclusiveAuto: false,
      loggingMonitor: true,
    };
    this.#startup = structuredClone(this.#running);
  }

  // ---- the oracle ----

  get portNames(): readonly PortName[] {
    return [...this.#running.ports.keys()].sort(comparePorts);
  }

  /** What the port does with frames now; an unknown port does nothing. A LAG member does what its port-channel does. */
  effective(port: string): EffectivePort {
    const name = portName(port) ?? port;
    const config = this.#running.ports.get(name);
    if (!config) return nowhere;
    const up = this.linkUp(name);
    if (config.lag !== null) {
      const lag = this.effective(config.lag);
      return { ...lag, up: up && this.#running.ports.get(config.lag)?.shutdown === false };
    }
    if (!config.switchport) return { ...nowhere, up };
    const forwards = (id: number): boolean =>
      this.knobs.vlanShutdown === 'routing' || this.#running.vlans.get(id)?.shutdown === false;
    const native = this.nativeOf(name);
    return {
      native: native !== null && forwards(native) ? native : null,
      tagged: this.taggedOf(name).filter(forwards),
      up,
    };
  }

  /** Whether a frame of this VLAN passes the port, tagged with its id or untagged. */
  carries(port: string, vlan: number, taggedFrame: boolean): boolean {
    const { native, tagged, up } = this.effective(port);
    return up && (taggedFrame ? tagged.includes(vlan) : native === vlan);
  }

  /** The effective state of every port: what a test compares. */
  dump(): Map<PortName, EffectivePort> {
    return new Map(this.portNames.map((port) => [port, this.effective(port)]));
  }

  /** Calls the listener after every edit that changed what some port does. The returned function unsubscribes. */
  onChange(listener: (change: Os9Change) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Whether the port is enabled, has a cable with something live at the other end, and the switch runs. */
  linkUp(port: PortName): boolean {
    const config = this.#running.ports.get(port);
    if (!config || config.shutdown || this.#offline) return false;
    return port.startsWith('Port-channel ')
      ? this.lagMembers(port).some((member) => this.linkUp(member))
      : !this.#unplugged.has(port);
  }

  /** Plugs or unplugs the cable of a port. */
  setLink(port: string, plugged: boolean): void {
    const name = this.#known(port);
    this.#edit(null, () => {
      if (plugged) this.#unplugged.delete(name);
      else this.#unplugged.add(name);
    });
  }

  /** While offline (a reload) no port passes anything. */
  setOffline(offline: boolean): void {
    this.#edit(null, () => (this.#offline = offline));
  }

  // ---- reading ----

  get running(): Readonly<Os9Config> {
    return this.#running;
  }

  get startup(): Readonly<Os9Config> {
    return this.#startup;
  }

  /** Whether a reload now would lose nothing. */
  get saved(): boolean {
    return fingerprint(this.#running) === fingerprint(this.#startup);
  }

  get lastChange(): { at: number; by: string } | null {
    return this.#lastChange;
  }

  get lastSave(): { at: number; by: string } | null {
    return this.#lastSave;
  }

  port(port: PortName): Readonly<PortConfig> | undefined {
    return this.#running.ports.get(port);
  }

  vlan(id: number): Readonly<VlanConfig> | undefined {
    return this.#running.vlans.get(id);
  }

  lagMembers(lag: PortName): PortName[] {
    return this.portNames.filter((port) => this.#running.ports.get(port)!.lag === lag);
  }

  /** The VLAN that the port is untagged in by an explicit command, or null. */
  explicitNative(port: PortName): number | null {
    for (const [id, vlan] of this.#running.vlans) if (vlan.untagged.has(port)) return id;
    return null;
  }

  /** The untagged VLAN by configuration: the explicit one, else the default VLAN, else null. */
  nativeOf(port: PortName): number | null {
    const config = this.#running.ports.get(port);
    if (!config?.switchport) return null;
    const explicit = this.explicitNative(port);
    if (explicit !== null) return explicit;
    const tagged = this.taggedOf(port).length > 0;
    if (tagged && (!config.hybrid || this.knobs.taggedHybrid === 'none')) return null;
    return this.#running.defaultVlan;
  }

  /** Ascending VLAN ids that the port is tagged in. */
  taggedOf(port: PortName): number[] {
    return this.vlanIds.filter((id) => this.#running.vlans.get(id)!.tagged.has(port));
  }

  get vlanIds(): number[] {
    return [...this.#running.vlans.keys()].sort((a, b) => a - b);
  }

  /** Members as `show vlan` lists them, the implicit ones of the default VLAN included. */
  membersOf(id: number): { untagged: PortName[]; tagged: PortName[] } {
    return {
      untagged: this.portNames.filter((port) => this.nativeOf(port) === id),
      tagged: [...(this.#running.vlans.get(id)?.tagged ?? [])].sort(comparePorts),
    };
  }

  // ---- edits: VLANs ----

  /** `interface vlan N`: creates it when there is none. */
  ensureVlan(id: number, by: string): void {
    if (!Number.isInteger(id) || id < 1 || id > 4094) throw new Os9Refusal(`VLAN ${id} is out of range.`);
    if (this.#running.vlans.has(id)) return;
    this.#edit(by, (config) => config.vlans.set(id, newVlan(this.knobs.newVlan === 'shutdown')));
  }

  /** `no interface vlan N` */
  deleteVlan(id: number, by: string): void {
    const vlan = this.#running.vlans.get(id);
    if (!vlan) throw new Os9Refusal(`Vlan ${id} does not exist.`);
    if (id === this.#running.defaultVlan) throw new Os9Refusal('Default VLAN cannot be deleted.');
    if (this.knobs.deleteOccupiedVlan === 'refuse' && vlan.tagged.size + vlan.untagged.size > 0)
      throw new Os9Refusal(`Vlan ${id} has member ports.`);
    this.#edit(by, (config) => config.vlans.delete(id));
  }

  /** `untagged PORT` in a VLAN. */
  addUntagged(id: number, port: PortName, by: string): void {
    const config = this.#member(port);
    if (id === this.#running.defaultVlan) return this.#refuseDefault();
    const vlan = this.#vlan(id);
    if (vlan.untagged.has(port)) return;
    const current = this.explicitNative(port);
    if (current !== null && this.knobs.untaggedMove === 'refuse')
      throw new Os9Refusal(`${shortPort(port)} is already an untagged member of Vlan ${current}.`);
    const otherTagged = this.taggedOf(port).some((other) => other !== id);
    if (otherTagged && !config.hybrid)
      throw new Os9Refusal(`${shortPort(port)} is a tagged member of another VLAN.`);
    if (vlan.tagged.has(port) && this.knobs.sameVlan === 'refuse')
      throw new Os9Refusal(`${shortPort(port)} is already a tagged member of Vlan ${id}.`);
    this.#edit(by, ({ vlans }) => {
      if (current !== null) vlans.get(current)!.untagged.delete(port);
      vlans.get(id)!.tagged.delete(port);
      vlans.get(id)!.untagged.add(port);
    });
  }

  /** `no untagged PORT` in a VLAN: the port falls back to the default VLAN, or to the null VLAN. */
  removeUntagged(id: number, port: PortName, by: string): void {
    this.#member(port);
    if (id === this.#running.defaultVlan) return this.#refuseDefault();
    if (!this.#vlan(id).untagged.has(port)) return this.#refuseAbsent(id, port);
    this.#edit(by, ({ vlans }) => vlans.get(id)!.untagged.delete(port));
  }

  /** `tagged PORT` in a VLAN. */
  addTagged(id: number, port: PortName, by: string): void {
    const config = this.#member(port);
    if (id === this.#running.defaultVlan)
      throw new Os9Refusal('Only untagged ports can be members of the default VLAN.');
    const vlan = this.#vlan(id);
    if (vlan.tagged.has(port)) return;
    const native = this.explicitNative(port);
    if (native !== null && native !== id && !config.hybrid)
      throw new Os9Refusal(`${shortPort(port)} is an untagged member of Vlan ${native}.`);
    if (native === id && this.knobs.sameVlan === 'refuse')
      throw new Os9Refusal(`${shortPort(port)} is already an untagged member of Vlan ${id}.`);
    this.#edit(by, ({ vlans }) => {
      vlans.get(id)!.untagged.delete(port);
      vlans.get(id)!.tagged.add(port);
    });
  }

  /** `no tagged PORT` in a VLAN. */
  removeTagged(id: number, port: PortName, by: string): void {
    this.#member(port);
    if (!this.#vlan(id).tagged.has(port)) return this.#refuseAbsent(id, port);
    this.#edit(by, ({ vlans }) => vlans.get(id)!.tagged.delete(port));
  }

  setVlan(
    id: number,
    values: Partial<Pick<VlanConfig, 'description' | 'shutdown' | 'extra'>>,
    by: string,
  ): void {
    this.#vlan(id);
    this.#edit(by, ({ vlans }) => Object.assign(vlans.get(id)!, values));
  }

  /** `name WORD`: at most 32 characters, no digit first, unique on the switch. Empty = `no name`. */
  setVlanName(id: number, name: string, by: string): void {
    this.#vlan(id);
    if (name.length > 32 || /^\d/.test(name)) throw new Os9Refusal('Invalid VLAN name.');
    for (const [other, vlan] of this.#running.vlans)
      if (other !== id && name !== '' && vlan.name === name)
        throw new Os9Refusal('Error: Name already exists.', true);
    this.#edit(by, ({ vlans }) => (vlans.get(id)!.name = name));
  }

  /** `ip address A/M` in a VLAN: refused in the default VLAN. Null = `no ip address`. */
  setVlanIp(id: number, ip: string | null, by: string): void {
    this.#vlan(id);
    if (ip !== null && id === this.#running.defaultVlan)
      throw new Os9Refusal('IP address cannot be assigned to the default VLAN.');
    this.#edit(by, ({ vlans }) => (vlans.get(id)!.ip = ip));
  }

  /** `default vlan-id N`, or null for `default-vlan disable`. */
  setDefaultVlan(id: number | null, by: string): void {
    if (id === this.#running.defaultVlan) return;
    if (id !== null) {
      const vlan = this.#running.vlans.get(id);
      if (vlan && vlan.tagged.size + vlan.untagged.size > 0)
        throw new Os9Refusal(`Vlan ${id} has member ports, it cannot be the default VLAN.`);
      if (vlan && vlan.ip !== null) throw new Os9Refusal(`Vlan ${id} has an IP address.`);
    }
    this.#edit(by, (config) => {
      config.defaultVlan = id;
      if (id !== null && !config.vlans.has(id)) config.vlans.set(id, newVlan(false));
    });
  }

  // ---- edits: ports ----

  /** `interface port-channel N`: creates it when there is none. */
  ensureLag(port: PortName, by: string): void {
    if (this.#running.ports.has(port)) return;
    this.#edit(by, (config) => config.ports.set(port, newPort()));
  }

  /** `no interface port-channel N` */
  deleteLag(port: PortName, by: string): void {
    this.#known(port);
    if (this.#memberships(port).length > 0) throw new Os9Refusal('Port is part of a non-default VLAN.');
    this.#edit(by, (config) => {
      config.ports.delete(port);
      for (const member of config.ports.values()) if (member.lag === port) member.lag = null;
    });
  }

  /** `portmode hybrid` and its `no` form: only on a port without any layer 2 or layer 3 configuration. */
  setHybrid(port: PortName, hybrid: boolean, by: string): void {
    const config = this.#free(port);
    if (config.hybrid === hybrid) return;
    if (config.switchport) throw new Os9Refusal(`Port is in Layer-2 mode ${shortPort(port)}.`);
    if (config.ip !== null) throw new Os9Refusal(`Port is in Layer-3 mode ${shortPort(port)}.`);
    this.#edit(by, ({ ports }) => (ports.get(port)!.hybrid = hybrid));
  }

  /** `switchport` and its `no` form: refused while the port is a member of a VLAN other than the default one. */
  setSwitchport(port: PortName, switchport: boolean, by: string): void {
    const config = this.#free(port);
    if (switchport && config.ip !== null) throw new Os9Refusal(`Port is in Layer-3 mode ${shortPort(port)}.`);
    if (!switchport && this.#memberships(port).length > 0)
      throw new Os9Refusal('Port is part of a non-default VLAN.');
    this.#edit(by, ({ ports }) => (ports.get(port)!.switchport = switchport));
  }

  setPort(
    port: PortName,
    values: Partial<Pick<PortConfig, 'description' | 'shutdown' | 'extra'>>,
    by: string,
  ): void {
    this.#known(port);
    this.#edit(by, ({ ports }) => Object.assign(ports.get(port)!, values));
  }

  /** `ip address A/M` on a port: only outside layer 2 mode. Null = `no ip address`. */
  setPortIp(port: PortName, ip: string | null, by: string): void {
    const config = this.#free(port);
    if (ip !== null && config.switchport) throw new Os9Refusal(`Port is in Layer-2 mode ${shortPort(port)}.`);
    this.#edit(by, ({ ports }) => (ports.get(port)!.ip = ip));
  }

  /** `channel-member` or LACP: the port joins a port-channel and has no VLANs of its own; null = leaves it. */
  setLag(port: PortName, lag: PortName | null, lagBy: 'channel-member' | 'lacp', by: string): void {
    const name = this.#known(port);
    const config = this.#running.ports.get(name)!;
    if (lag !== null) {
      if (config.lag !== null && config.lag !== lag) this.#free(port);
      if (config.switchport) throw new Os9Refusal(`Port is in Layer-2 mode ${shortPort(port)}.`);
      if (config.ip !== null) throw new Os9Refusal(`Port is in Layer-3 mode ${shortPort(port)}.`);
      this.ensureLag(lag, by);
    }
    this.#edit(by, ({ ports }) => Object.assign(ports.get(name)!, { lag, lagBy }));
  }

  // ---- edits: the switch ----

  /** Runs other edits of the configuration: what an administrator may do that has no method of its own here. */
  edit(by: string, change: (config: Os9Config) => void): void {
    this.#edit(by, change);
  }

  /** Does all or nothing: when `work` throws, the configuration is as before. */
  atomically(work: () => void): void {
    const before = structuredClone(this.#running);
    try {
      work();
    } catch (error) {
      this.#edit(null, () => (this.#running = before));
      throw error;
    }
  }

  /** `write memory` */
  save(by: string): void {
    this.#startup = structuredClone(this.#running);
    this.#lastSave = { at: this.clock.now(), by };
  }

  /** The configuration after a restart: what was saved. */
  loadStartup(): void {
    this.#edit(null, () => (this.#running = structuredClone(this.#startup)));
    this.#lastChange = null;
    this.lines.forgetLock();
  }

  // ---- rules ----

  #known(port: string): PortName {
    const name = portName(port);
    if (name === null || !this.#running.ports.has(name)) throw new Os9Refusal(`No such interface ${port}.`);
    return name;
  }

  #vlan(id: number): VlanConfig {
    const vlan = this.#running.vlans.get(id);
    if (!vlan) throw new Os9Refusal(`Vlan ${id} does not exist.`);
    return vlan;
  }

  /** A port that is no LAG member. */
  #free(port: PortName): PortConfig {
    const config = this.#running.ports.get(this.#known(port))!;
    if (config.lag !== null) throw new Os9Refusal(`Error : ${shortPort(port)} is in Layer 2 LAG`, true);
    return config;
  }

  /** A port that may be a member of VLANs. */
  #member(port: PortName): PortConfig {
    const config = this.#free(port);
    if (!config.switchport) throw new Os9Refusal(`Port is not in Layer-2 mode ${shortPort(port)}.`);
    return config;
  }

  /** VLANs other than the default one that the port is in. */
  #memberships(port: PortName): number[] {
    const native = this.explicitNative(port);
    return native === null ? this.taggedOf(port) : [native, ...this.taggedOf(port)];
  }

  #refuseDefault(): void {
    if (this.knobs.defaultVlanEdit === 'refuse')
      throw new Os9Refusal('Ports cannot be added to or removed from the default VLAN.');
  }

  #refuseAbsent(id: number, port: PortName): void {
    if (this.knobs.removeAbsent === 'refuse')
      throw new Os9Refusal(`${shortPort(port)} is not a member of Vlan ${id}.`);
  }

  #edit(by: string | null, change: (config: Os9Config) => unknown): void {
    const before = this.dump();
    change(this.#running);
    if (by !== null) this.#lastChange = { at: this.clock.now(), by };
    const after = this.dump();
    const ports = [...new Set([...before.keys(), ...after.keys()])].filter(
      (port) => JSON.stringify(before.get(port)) !== JSON.stringify(after.get(port)),
    );
    if (ports.length > 0) for (const listener of [...this.#listeners]) listener({ ports });
  }
}

function fingerprint(config: Os9Config): string {
  return JSON.stringify(config, (_key, value: unknown) => {
    if (value instanceof Map) return [...(value as Map<unknown, unknown>)].sort(byKey);
    if (value instanceof Set) return [...(value as Set<string>)].sort();
    return value;
  });
}

function byKey([a]: [unknown, unknown], [b]: [unknown, unknown]): number {
  return String(a) < String(b) ? -1 : 1;
}
