import { parse } from 'yaml';
import type { Clock, Mac } from '../../plugin-api/index.ts';
import type { DhcpLease, Fabric, Tag } from '../network/index.ts';
import { readFirstBoot, type FirstBootContainer } from './first-boot.ts';
import type { LabDisk } from './lab-disk.ts';
import type { LabImageHeader } from './lab-image.ts';
import type { HeardFrame, LabNic } from './lab-nic.ts';
import { parseNetworkConfig, type OsLink, type OsNetwork, type OsVlan } from './network-config.ts';
import { readTenantMark, writeTenantMark } from './tenant-mark.ts';
import type { MachineTiming } from './timing.ts';

/** An interface that has an address, or asks for one. */
export interface OsInterface {
  readonly name: string;
  readonly kind: 'nic' | 'bond' | 'vlan';
  readonly mac: Mac;
  readonly tag: Tag;
  readonly members: readonly LabNic[];
  /** Whether it asks for a lease. */
  readonly dhcp: boolean;
  lease: DhcpLease | null;
}

export interface LabOsParts {
  readonly machine: string;
  readonly image: LabImageHeader;
  readonly disk: LabDisk;
  readonly nics: readonly LabNic[];
  readonly fabric: Fabric;
  readonly clock: Clock;
  readonly timing: MachineTiming;
  readonly log: (text: string) => void;
}

/**
 * A running operating system. All it knows is on its disk: the image says whether it can bond, NoCloud's files say which
 * interfaces it has; without them it does what cloud-init does, DHCP on the first NIC.
 */
export class LabOs {
  readonly image: LabImageHeader;
  /** cloud-init's instance id, null without first-boot data. */
  readonly instanceId: string | null;
  /** True when the disk had been started with this instance id before. */
  readonly bootedBefore: boolean;
  /** Instance id of another tenant, whose data this one finds on the disk; null = none. */
  readonly foreignData: string | null;
  readonly interfaces: OsInterface[];
  /** The disk it was started from. */
  readonly disk: LabDisk;
  readonly #parts: LabOsParts;
  readonly #stop = new AbortController();
  readonly #loops: Promise<void>[] = [];
  readonly #unhear: (() => void)[] = [];

  constructor(parts: LabOsParts) {
    this.#parts = parts;
    this.image = parts.image;
    this.disk = parts.disk;
    const seed = noCloud(readFirstBoot(parts.disk));
    this.instanceId = seed ? instanceIdOf(seed) : null;
    const mark = readTenantMark(parts.disk);
    this.bootedBefore = this.instanceId !== null && mark === this.instanceId;
    this.foreignData = mark !== null && mark !== this.instanceId ? mark : null;
    if (this.instanceId !== null) writeTenantMark(parts.disk, this.instanceId);
    this.interfaces = this.#plan(seed);
    for (const one of this.interfaces) for (const nic of one.members) nic.extraMacs.add(one.mac);
  }

  /** Brings the interfaces up and keeps asking for leases until {@link stop}. */
  start(): void {
    for (const nic of this.#parts.nics)
      this.#unhear.push(nic.onHeard((heard) => this.#answerEcho(nic, heard)));
    for (const one of this.interfaces) if (one.dhcp) this.#loops.push(this.#keepLease(one));
  }

  /** What an administrator of the tenant does inside: a VLAN interface on the first link, with DHCP. */
  addVlan(id: number, mac: Mac): void {
    const link = this.interfaces.find((one) => one.kind !== 'vlan');
    if (!link) throw new Error(`${this.#parts.machine} has no link to put a VLAN interface on`);
    const added: OsInterface = {
      name: `${link.name}.${id}`,
      kind: 'vlan',
      mac,
      tag: id,
      members: link.members,
      dhcp: true,
      lease: null,
    };
    this.interfaces.push(added);
    for (const nic of added.members) nic.extraMacs.add(mac);
    this.#loops.push(this.#keepLease(added));
  }

  async stop(): Promise<void> {
    this.#stop.abort(new Error('shut down'));
    for (const unhear of this.#unhear) unhear();
    for (const nic of this.#parts.nics) nic.extraMacs.clear();
    await Promise.all(this.#loops);
  }

  /** The NIC that carries an interface now: the first member with a link, as active-backup does. */
  activeNic(one: OsInterface): LabNic | null {
    return one.members.find((nic) => nic.carrier()) ?? null;
  }

  #plan(seed: FirstBootContainer | null): OsInterface[] {
    const network = this.#network(seed);
    const made = new Map<string, OsInterface>();
    const add = (
      name: string,
      kind: OsInterface['kind'],
      mac: Mac,
      tag: Tag,
      members: readonly LabNic[],
      dhcp: boolean,
    ): void => {
      made.set(name, { name, kind, mac, tag, members, dhcp, lease: null });
    };
    for (const link of network.links) {
      const members = link.hardware.flatMap((mac) => this.#parts.nics.filter((nic) => nic.mac === mac));
      if (members.length === 0)
        this.#parts.log(`${link.name}: no NIC has the MAC ${link.hardware.join(', ')}`);
      else if (link.kind === 'bond' && !this.image.canBond)
        this.#parts.log(`${link.name}: ${this.image.name} cannot bond`);
      else add(link.name, link.kind, link.mac ?? members[0]!.mac, null, members, link.dhcp);
    }
    for (const vlan of network.vlans) {
      const link = made.get(vlan.link);
      if (link) add(vlan.name, 'vlan', vlan.mac ?? link.mac, vlan.id, link.members, vlan.dhcp);
    }
    return [...made.values()];
  }

  #network(seed: FirstBootContainer | null): OsNetwork {
    const first = this.#parts.nics[0];
    const fallback: OsLink[] = first
      ? [{ name: 'eth0', kind: 'nic', hardware: [first.mac], mac: null, dhcp: true }]
      : [];
    const text = seed?.files['network-config'];
    if (text === undefined) return { links: fallback, vlans: [] as OsVlan[] };
    try {
      return parseNetworkConfig(text);
    } catch (error) {
      this.#parts.log(`network-config: ${(error as Error).message}`);
      return { links: [], vlans: [] };
    }
  }

  async #keepLease(one: OsInterface): Promise<void> {
    const { clock, timing } = this.#parts;
    const { signal } = this.#stop;
    try {
      for (;;) {
        const nic = this.activeNic(one);
        const lease = nic ? await nic.dhcp(clock, one.mac, 'os', one.tag, timing.lease, signal) : null;
        if (lease?.address !== one.lease?.address)
          this.#parts.log(`${one.name} ${one.mac}: ${lease ? `lease ${lease.address}` : 'lease lost'}`);
        one.lease = lease;
        if (lease || !nic) await clock.sleep(lease ? timing.renew : timing.lease, signal);
      }
    } catch {
      one.lease = null;
    }
  }

  #answerEcho(nic: LabNic, { frame, tag }: HeardFrame): void {
    const { payload } = frame;
    if (payload.kind !== 'echo') return;
    const one = this.interfaces.find(
      (i) => i.mac === frame.destination && i.tag === tag && this.activeNic(i) === nic,
    );
    if (one?.lease?.address !== payload.address) return;
    nic.send(
      {
        source: one.mac,
        destination: frame.source,
        payload: { kind: 'echo-reply', id: payload.id, address: payload.address },
      },
      tag,
    );
  }
}

/** NoCloud takes a seed only with its label, meta-data and user-data (cloud-init, NoCloud data source). */
function noCloud(container: FirstBootContainer | null): FirstBootContainer | null {
  if (!container || container.label.toLowerCase() !== 'cidata') return null;
  return 'meta-data' in container.files && 'user-data' in container.files ? container : null;
}

function instanceIdOf(seed: FirstBootContainer): string | null {
  const meta = parse(seed.files['meta-data'] ?? '') as { 'instance-id'?: string } | null;
  return meta?.['instance-id'] ?? null;
}
