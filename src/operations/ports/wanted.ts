import type { ObservedSwitch, PortId, SwitchIntent, VlanId } from '../../../plugin-api/index.ts';
import { tenantVlans, type PortRecord } from '../../core/network/port-state.ts';
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
 * @param planned what is not stored yet, and taken for what is stored of the same ports
 */
export async function wantedOf(
  storage: Storage,
  at: Switch,
  ports: readonly PortId[],
  observed: ObservedSwitch | null,
  planned: readonly PortRecord[] = [],
): Promise<Wanted> {
  const { stored, inUse, fabric } = await storage.run(async (tx) => ({
    stored: await tx.ports.ofPorts(at.name, ports),
    inUse: await tx.ports.tenantVlans(at.fabric, planned),
    fabric: planned.length === 0 ? [] : await tx.racks.ofFabric(at.fabric),
  }));
  const isPlanned = (port: PortId): boolean =>
    planned.some((record) => record.switch === at.name && record.port === port);
  const records = [
    ...stored.filter(({ port }) => !isPlanned(port)),
    ...planned.filter((record) => record.switch === at.name && ports.includes(record.port)),
  ];
  const added = planned.flatMap((record) => {
    const there = fabric.find(({ name }) => name === record.switch);
    return there ? tenantVlans(record, there) : [];
  });
  const carried = carriedBy(at, [...inUse, ...added]);
  const retired = [...(observed?.vlans.values() ?? [])]
    .filter((vlan) => vlan.ours && !carried.includes(vlan.id) && vlan.id !== at.park)
    .map((vlan) => vlan.id);
  return {
    records,
    intent: {
      ports: new Map(records.map((record) => [record.port, record.desired])),
      uplinks: at.uplinks,
      carried,
      retired,
      shutDuringMove: true,
    },
  };
}

/**
 * VLANs that the uplinks of a switch must carry, ascending.
 * @param inUse those of tenants that are wanted anywhere on its fabric
 */
export function carriedBy(
  { provisioning }: Pick<Switch, 'provisioning'>,
  inUse: readonly VlanId[],
): readonly VlanId[] {
  const own = provisioning === 'default-vlan' ? [] : [provisioning];
  return [...new Set([...own, ...inUse])].sort((a, b) => a - b);
}
