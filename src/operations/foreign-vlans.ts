import type { VlanId } from '../../plugin-api/index.ts';
import type { Claim } from '../core/claim/claim.ts';
import type { Machine } from '../core/machine/machine.ts';
import { tenantVlans } from '../core/network/port-state.ts';
import type { Switch } from '../core/rack/wiring.ts';
import { ServiceError } from '../kernel/errors/service-error.ts';
import type { World } from './world.ts';

/**
 * CloudStack numbers its tenants' VLANs by itself, and administrators those of users: where both take the same one in a fabric,
 * strangers would hear each other.
 * @param switches those that the machine is wired to
 * @throws ServiceError `network.foreign-vlan` when the other kind of holder has one of the VLANs on a port of the fabric
 */
export async function refuseForeignVlans(
  { storage }: Pick<World, 'storage'>,
  machine: Pick<Machine, 'id' | 'hostname'>,
  switches: readonly Pick<Switch, 'fabric'>[],
  vlans: readonly VlanId[],
  holder: Claim['holder'],
): Promise<void> {
  if (vlans.length === 0 || switches.length === 0) return;
  const fabrics = new Set(switches.map(({ fabric }) => fabric));
  await storage.run(async (tx) => {
    const all = new Map((await tx.racks.switchesOf({ fabrics: [...fabrics] })).map((at) => [at.name, at]));
    const carrying = (await tx.ports.tenantPorts([...all.keys()])).flatMap((port) => {
      if (port.machineId === null || port.machineId === machine.id) return [];
      const vlan = tenantVlans(port, all.get(port.switch)).find((one) => vlans.includes(one));
      return vlan === undefined ? [] : [{ vlan, machineId: port.machineId }];
    });
    const claims = await tx.claims.ofMachines([...new Set(carrying.map(({ machineId }) => machineId))]);
    const stranger = claims.find((claim) => claim.holder !== holder);
    if (!stranger) return;
    const { vlan } = carrying.find(({ machineId }) => machineId === stranger.machineId)!;
    throw new ServiceError({
      code: 'network.foreign-vlan',
      what: `VLAN ${vlan} is in use there by ${stranger.externalId}`,
      where: machine.hostname,
    });
  });
}
