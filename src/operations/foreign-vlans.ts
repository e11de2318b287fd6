import type { VlanId } from '../../plugin-api/index.ts';
import { holders, type Claim } from '../core/claim/claim.ts';
import type { Machine } from '../core/machine/machine.ts';
import { tenantVlans } from '../core/network/port-state.ts';
import { describePlace, type Switch } from '../core/rack/wiring.ts';
import { ServiceError } from '../kernel/errors/service-error.ts';
import type { World } from './world.ts';

/**
 * CloudStack numbers its tenants' VLANs by itself, and administrators those of users: where both take the same one in a fabric,
 * strangers would hear each other. A port of a machine that nobody knows (it came after the backup that was restored) may be a
 * tenant's too: no user gets its VLAN. CloudStack does, whose network it mostly is.
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
    // Asked first, because for an instance there are mostly none: only then are the ports of whole fabrics read.
    const claims = await tx.claims.ofHolders(holders.filter((other) => other !== holder));
    const strangers = new Map(claims.map((claim) => [claim.machineId, claim]));
    strangers.delete(machine.id);
    if (strangers.size === 0 && holder === 'instance') return;
    for (const fabric of fabrics) {
      const all = new Map((await tx.racks.ofFabric(fabric)).map((at) => [at.name, at]));
      for (const port of await tx.ports.tenantPorts([...all.keys()])) {
        const stranger = port.machineId === null ? undefined : strangers.get(port.machineId);
        if (port.machineId === null ? holder === 'instance' : !stranger) continue;
        const vlan = tenantVlans(port, all.get(port.switch)).find((one) => vlans.includes(one));
        if (vlan === undefined) continue;
        const whose = stranger?.externalId ?? `a machine that is not known here, at ${describePlace(port)}`;
        throw new ServiceError({
          code: 'network.foreign-vlan',
          what: `VLAN ${vlan} is in use there by ${whose}`,
          where: machine.hostname,
        });
      }
    }
  });
}
