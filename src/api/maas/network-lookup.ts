import type { MachineId, ShownMachine } from '../../core/machine/machine.ts';
import {
  toFabric,
  toSubnet,
  toVlan,
  untaggedVid,
  type FabricRecord,
  type SubnetRecord,
  type VlanRecord,
} from '../../core/network/network-records.ts';
import type { RecordKind, StoredRecord } from '../../core/storage/stored-record.ts';
import type { Tx } from '../../core/storage/storage.ts';
import { nowhereFabric } from '../../operations/networks.ts';
import { subnetJson, type SubnetJson } from './shapes/subnet.ts';
import { vlanJson, type VlanJson } from './shapes/vlan.ts';

/** Numbers of the records of VLAN and subnet where a machine boots; null where nothing is known of it. */
export interface BootPlace {
  readonly vlan: number | null;
  readonly subnet: number | null;
}

/** Records that a lookup is made from. */
export const networkKinds: readonly RecordKind[] = ['fabric', 'vlan', 'subnet', 'space', 'rack-controller'];

/** What a name of the network means at this moment: read once for a request, in a fixed number of queries. */
export class NetworkLookup {
  readonly fabrics: readonly FabricRecord[];
  readonly vlans: readonly VlanRecord[];
  readonly subnets: readonly SubnetRecord[];
  readonly #fabrics: ReadonlyMap<number, FabricRecord>;
  readonly #vlans: ReadonlyMap<number, VlanRecord>;
  readonly #subnets: ReadonlyMap<number, { readonly record: SubnetRecord; readonly kept: StoredRecord }>;
  readonly #spaces: ReadonlyMap<number, string>;
  /** System id of the rack controller that DHCP comes from. */
  readonly #rack: string | null;
  /** The same object for everybody who asks for the same thing. */
  readonly #vlanJson = new Map<number, VlanJson>();
  readonly #subnetJson = new Map<number, SubnetJson>();
  /** Where the switches met so far let their machines boot. */
  readonly #bySwitch = new Map<string, BootPlace | null>();

  constructor(records: {
    readonly fabrics: readonly StoredRecord[];
    readonly vlans: readonly StoredRecord[];
    readonly subnets: readonly StoredRecord[];
    readonly spaces: readonly StoredRecord[];
    readonly rack?: string | null;
  }) {
    this.fabrics = records.fabrics.map(toFabric);
    this.vlans = records.vlans.map(toVlan);
    const subnets = records.subnets.map((kept) => ({ record: toSubnet(kept), kept }));
    this.subnets = subnets.map(({ record }) => record);
    this.#fabrics = new Map(this.fabrics.map((fabric) => [fabric.id, fabric]));
    this.#vlans = new Map(this.vlans.map((vlan) => [vlan.id, vlan]));
    this.#subnets = new Map(subnets.map((subnet) => [subnet.record.id, subnet]));
    this.#spaces = new Map(records.spaces.map(({ id, name }) => [id, name ?? `space-${id}`]));
    this.#rack = records.rack ?? null;
  }

  static async read(tx: Tx): Promise<NetworkLookup> {
    return NetworkLookup.of(await tx.records.ofKinds(networkKinds));
  }

  /** From records of {@link networkKinds}, among others. */
  static of(records: readonly StoredRecord[]): NetworkLookup {
    const ofKind = (kind: RecordKind): readonly StoredRecord[] =>
      records.filter((record) => record.kind === kind);
    return new NetworkLookup({
      fabrics: ofKind('fabric'),
      vlans: ofKind('vlan'),
      subnets: ofKind('subnet'),
      spaces: ofKind('space'),
      rack: rackOf(ofKind('rack-controller')),
    });
  }

  fabricRecord(id: number): FabricRecord | null {
    return this.#fabrics.get(id) ?? null;
  }

  vlanRecord(id: number): VlanRecord | null {
    return this.#vlans.get(id) ?? null;
  }

  subnetRecord(id: number): SubnetRecord | null {
    return this.#subnets.get(id)?.record ?? null;
  }

  spaceName(id: number): string | null {
    return this.#spaces.get(id) ?? null;
  }

  vlan(id: number): VlanJson | null {
    const known = this.#vlanJson.get(id);
    if (known) return known;
    const record = this.#vlans.get(id);
    if (!record) return null;
    const relay = record.relay_vlan === null ? undefined : this.#vlans.get(record.relay_vlan);
    // One step and no further: VLANs may relay to each other in a circle.
    const json = this.#vlanShape(record, relay ? this.#vlanShape(relay, null) : null);
    this.#vlanJson.set(id, json);
    return json;
  }

  subnet(id: number): SubnetJson | null {
    const known = this.#subnetJson.get(id);
    if (known) return known;
    const found = this.#subnets.get(id);
    const vlan = found && this.vlan(found.record.vlan);
    if (!found || !vlan) return null;
    const json = subnetJson(found.record, vlan, found.kept.body);
    this.#subnetJson.set(id, json);
    return json;
  }

  subnetsOfVlan(id: number): readonly SubnetRecord[] {
    return this.subnets.filter((subnet) => subnet.vlan === id);
  }

  /** Where each of the machines boots: one query, and one for each switch that was not met before. */
  async bootPlaces(
    tx: Tx,
    machines: readonly Pick<ShownMachine, 'id' | 'nics'>[],
  ): Promise<ReadonlyMap<MachineId, BootPlace>> {
    const wires = await tx.racks.wiresOf(machines.flatMap(({ nics }) => nics.map(({ mac }) => mac)));
    const switchOf = new Map(wires.map((wire) => [wire.mac, wire.switch]));
    for (const name of new Set(switchOf.values())) {
      if (this.#bySwitch.has(name)) continue;
      const at = await tx.racks.findSwitch(name);
      const vid = at?.provisioning === 'default-vlan' ? untaggedVid : at?.provisioning;
      this.#bySwitch.set(name, at && this.#bootPlace(at.fabric, vid ?? untaggedVid));
    }
    const nowhere = this.#bootPlace(nowhereFabric, untaggedVid) ?? { vlan: null, subnet: null };
    return new Map(
      machines.map(({ id, nics }) => {
        const name = nics.map(({ mac }) => switchOf.get(mac)).find((wired) => wired !== undefined);
        return [id, (name !== undefined && this.#bySwitch.get(name)) || nowhere];
      }),
    );
  }

  #bootPlace(fabricName: string, vid: number): BootPlace | null {
    const fabric = this.fabrics.find(({ name }) => name === fabricName);
    const vlan = fabric && this.vlans.find((one) => one.fabric === fabric.id && one.vid === vid);
    if (!vlan) return null;
    return { vlan: vlan.id, subnet: this.subnets.find((one) => one.vlan === vlan.id)?.id ?? null };
  }

  #vlanShape(record: VlanRecord, relayVlan: VlanJson | null): VlanJson {
    return vlanJson(record, {
      fabric: this.#fabrics.get(record.fabric)?.name ?? `fabric-${record.fabric}`,
      space: record.space === null ? null : (this.#spaces.get(record.space) ?? null),
      relayVlan,
      primaryRack: this.#rack,
    });
  }
}

function rackOf([first]: readonly StoredRecord[]): string | null {
  const id = first?.body['system_id'];
  return typeof id === 'string' ? id : null;
}
