import {
  parseMac,
  type EngineImage,
  type JsonObject,
  type Mac,
  type NicPlan,
  type VlanId,
} from '../../plugin-api/index.ts';
import type { Claim } from '../core/claim/claim.ts';
import type { Deployment } from '../core/claim/deployment.ts';
import type { Machine } from '../core/machine/machine.ts';
import { gatewayKey } from '../core/machine/profile.ts';
import { inventoriedInterfaces } from '../core/network/interface.ts';
import {
  planInterfaces,
  type NetworkNumbers,
  type PlannedInterfaces,
} from '../core/network/interface-plan.ts';
import { toFabric, toSubnet, toVlan } from '../core/network/network-records.ts';
import { planNics, vlanOfUri } from '../core/network/nic-plan.ts';
import { reservedVlans } from '../core/network/port-roles.ts';
import type { ConnectedPort, Switch } from '../core/rack/wiring.ts';
import type { Tx } from '../core/storage/storage.ts';
import { ServiceError } from '../kernel/errors/service-error.ts';
import { refuseForeignVlans } from './foreign-vlans.ts';
import { bootNetwork, provisioningVlans } from './networks.ts';
import { poolRules } from './pools.ts';
import { profileOf } from './profiles.ts';
import type { World } from './world.ts';

/** A NIC as CloudStack's StartCommand describes it. */
export interface StartNic extends JsonObject {
  readonly mac: string;
  readonly broadcastUri: string | null;
  readonly defaultNic: boolean;
  readonly deviceId: number;
}

type Wired = ConnectedPort & { readonly at: Switch };

/** What a machine is to carry for its tenant, and on which ports. */
export interface ResolvedNetwork {
  readonly planned: PlannedInterfaces;
  readonly used: readonly Wired[];
  readonly parked: readonly Wired[];
}

/**
 * The network that CloudStack wants for an instance: default NIC, VLANs, connected ports, uplinks. Anything missing is refused
 * here.
 */
export async function instanceNetwork(
  world: World,
  machine: Machine,
  image: Pick<EngineImage, 'canBond'>,
  wanted: readonly StartNic[],
): Promise<ResolvedNetwork> {
  const nics = wanted.map((nic) => ({
    mac: parseMac(nic.mac),
    vlan: vlanOfUri(nic.broadcastUri),
    defaultNic: nic.defaultNic,
    deviceId: nic.deviceId,
  }));
  const wiring = await wiringOf(world, machine);
  const planned = planNics(usableMacs(machine, wiring), nics, image.canBond);
  const resolved = onPorts(machine, wiring, planned);
  await refuseStrangers(world, machine, wiring, planned, 'instance');
  return resolved;
}

/**
 * The network of a user's machine, as its interfaces say it.
 * @throws ServiceError `network.interfaces`; `network.provisioning-stay` where it would stay on the provisioning network of
 *   switches that are ours, and its pool is not trusted
 */
export async function interfaceNetwork(
  world: World,
  machine: Machine,
  image: Pick<EngineImage, 'canBond'>,
): Promise<ResolvedNetwork> {
  const wiring = await wiringOf(world, machine);
  const { interfaces, numbers, gateways, trusted } = await world.storage.run(async (tx) => {
    const { interfaces: changed, kept } = await profileOf(tx, machine.id);
    const boot = changed ? null : await bootNetwork(tx, machine);
    return {
      interfaces: changed ?? inventoriedInterfaces(machine, boot!.vlan, boot!.subnet),
      numbers: await networkNumbers(tx),
      gateways: Object.values(gatewayKey).flatMap((key) => {
        const link = kept[key];
        return typeof link === 'number' ? [link] : [];
      }),
      trusted: (await poolRules(tx, machine.pool)).trusted,
    };
  });
  const usable = usableMacs(machine, wiring).map((mac) => ({
    mac,
    fabric: wiring?.find((port) => port.mac === mac)?.at.fabric ?? null,
  }));
  const planned = planInterfaces(interfaces, numbers, usable, image.canBond, gateways);
  if (wiring && planned.native === 'provisioning' && !trusted)
    throw new ServiceError({
      code: 'network.provisioning-stay',
      what: `${planned.plan[0]!.name} is in the VLAN where machines are installed, and the pool ${machine.pool} is not trusted`,
      where: machine.hostname,
    });
  const resolved = onPorts(machine, wiring, planned);
  await refuseStrangers(world, machine, wiring, planned, 'user');
  return resolved;
}

/** The network that a deployed machine has: what was deployed decides, not what was said about its interfaces since. */
export async function deployedNetwork(
  world: World,
  machine: Machine,
  { nicPlan, network }: Deployment,
): Promise<ResolvedNetwork> {
  const wiring = await wiringOf(world, machine);
  const hardware = new Set(hardwareOf(nicPlan));
  const macs = usableMacs(machine, wiring);
  return onPorts(machine, wiring, {
    plan: nicPlan,
    native: network.native,
    tagged: network.tagged,
    inUse: macs.filter((mac) => hardware.has(mac)),
    leftOut: macs.filter((mac) => !hardware.has(mac)),
  });
}

function hardwareOf(plan: NicPlan): readonly Mac[] {
  return plan.flatMap((entry) =>
    entry.kind === 'bond' ? entry.members : entry.kind === 'nic' ? [entry.hardware] : [],
  );
}

async function networkNumbers(tx: Tx): Promise<NetworkNumbers> {
  const [fabrics, vlans, subnets] = [
    (await tx.records.list('fabric')).map(toFabric),
    (await tx.records.list('vlan')).map(toVlan),
    (await tx.records.list('subnet')).map(toSubnet),
  ];
  return {
    fabrics: new Map(fabrics.map(({ id, name }) => [id, name])),
    vlans: new Map(vlans.map((vlan) => [vlan.id, vlan])),
    subnets: new Map(subnets.map((subnet) => [subnet.id, subnet])),
    provisioning: await provisioningVlans(tx),
  };
}

/** Null = somebody else's. */
async function wiringOf(world: World, machine: Machine): Promise<readonly Wired[] | null> {
  if (machine.wiring === 'none') return null;
  const wiring = await world.ports.wiring(machine);
  if (wiring.length > 0) return wiring;
  throw new ServiceError({
    code: 'wiring.none',
    what: 'none of its MACs is in the rack config',
    where: machine.hostname,
  });
}

function refuseStrangers(
  world: World,
  machine: Machine,
  wiring: readonly Wired[] | null,
  planned: PlannedInterfaces,
  holder: Claim['holder'],
): Promise<void> {
  const switches = (wiring ?? []).map(({ at }) => at);
  return refuseForeignVlans(world, machine, switches, vlansOf(planned), holder);
}

function vlansOf({ native, tagged }: Pick<PlannedInterfaces, 'native' | 'tagged'>): readonly VlanId[] {
  return typeof native === 'number' ? [native, ...tagged] : tagged;
}

function usableMacs(machine: Machine, wiring: readonly Wired[] | null): readonly Mac[] {
  return (wiring ?? machine.nics).map(({ mac }) => mac);
}

function onPorts(
  machine: Machine,
  wiring: readonly Wired[] | null,
  planned: PlannedInterfaces,
): ResolvedNetwork {
  if (!wiring) return { planned, used: [], parked: [] };
  refuseUnservable(machine, [...new Map(wiring.map(({ at }) => [at.name, at])).values()], planned);
  return {
    planned,
    used: wiring.filter((port) => planned.inUse.includes(port.mac)),
    parked: wiring.filter((port) => planned.leftOut.includes(port.mac)),
  };
}

function refuseUnservable(
  machine: Machine,
  switches: readonly Switch[],
  planned: Pick<PlannedInterfaces, 'native' | 'tagged'>,
): void {
  if (new Set(switches.map((at) => at.fabric)).size > 1) {
    throw new ServiceError({
      code: 'wiring.fabric',
      what: `its ports are on fabrics ${switches.map((at) => at.fabric).join(' and ')}`,
      where: machine.hostname,
    });
  }
  const vlans = vlansOf(planned);
  for (const at of switches) {
    if (at.uplinks.length === 0)
      throw new ServiceError({ code: 'wiring.uplink', what: 'the switch has no uplinks', where: at.name });
    const taken = reservedVlans(at).find((reserved) => vlans.includes(reserved.vlan));
    if (taken)
      throw new ServiceError({
        code: 'network.reserved-vlan',
        what: `VLAN ${taken.vlan} is ${taken.why} there`,
        where: at.name,
      });
    if (planned.native === null && at.park === 'shut' && at.defaultVlan !== null)
      throw new ServiceError({
        code: 'network.interfaces',
        what: 'no interface is untagged, and its ports would carry the default VLAN',
        where: at.name,
        remedy: 'give an interface an untagged VLAN, or the switch a park VLAN in the rack config',
      });
  }
}
