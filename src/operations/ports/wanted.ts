import type { ObservedSwitch, PortId, SwitchIntent, VlanId } from '../../../plugin-api/index.ts';
import { tenantVlans, type PortRecord, type TenantPort } from '../../core/network/port-state.ts';
import type { Switch } from '../../core/rack/wiring.ts';
import type { Storage } from '../../core/storage/storage.ts';

/** What is wanted of one switch, and the records that it is wanted by. */
export interface Wanted {
  readonly intent: SwitchIntent;
  readonly records: readonly PortRecord[];
}

/**
 * The intent for one switch: the desired states of the ports in question; on the uplinks every VLAN that anybody on the fabric
 * uses; and, to be retired, VLANs of ours that nobody uses any more.
 * @param replaced records that are taken for stored ones, by `switch port`, for a plan of what is not stored yet
 */
export async function wantedOf(
  storage: Storage,
  at: Switch,
  ports: readonly PortId[],
  observed: ObservedSwitch | null,
  replaced: ReadonlyMap<string, PortRecord> = new Map(),
): Promise<Wanted> {
  const { stored, tenants, fabric } = await storage.run(async (tx) => {
    const fabric = new Map(
      (await tx.racks.switchesOf({ fabrics: [at.fabric] })).map((one) => [one.name, one]),
    );
    return {
      fabric,
      stored: await tx.ports.ofPorts(at.name, ports),
      tenants: await tx.ports.tenantPorts([...fabric.keys()]),
    };
  });
  const standing = <T extends TenantPort>(records: readonly T[]): T[] =>
    records.filter((record) => !replaced.has(`${record.switch} ${record.port}`));
  const carried = new Set<VlanId>();
  if (at.provisioning !== 'default-vlan') carried.add(at.provisioning);
  for (const record of [...standing(tenants), ...replaced.values()])
    if (fabric.has(record.switch))
      for (const vlan of tenantVlans(record, fabric.get(record.switch))) carried.add(vlan);
  const inUse = new Set(carried);
  if (at.park !== 'shut') inUse.add(at.park);
  const retired = [...(observed?.vlans.values() ?? [])]
    .filter((vlan) => vlan.ours && !inUse.has(vlan.id))
    .map((vlan) => vlan.id);
  const wantedHere = [...replaced.values()].filter(
    (record) => record.switch === at.name && ports.includes(record.port),
  );
  const records = [...standing(stored), ...wantedHere];
  return {
    records,
    intent: {
      ports: new Map(records.map((record) => [record.port, record.desired])),
      uplinks: at.uplinks,
      carried: [...carried].sort((a, b) => a - b),
      retired,
      shutDuringMove: true,
    },
  };
}
