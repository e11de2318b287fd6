import type { Mac, NicPlan, NicPlanEntry } from '../../../../plugin-api/index.ts';
import { macOf } from './inventory.ts';
import type { MaasApi } from './maas-api.ts';
import type { Fields } from './maas-client.ts';
import { MaasError } from './maas-error.ts';
import type { MaasInterface, MaasMachine } from './maas-shapes.ts';

type Bond = Extract<NicPlanEntry, { kind: 'bond' }>;

/**
 * Makes the interfaces of an allocated machine in MAAS what the plan's links say: bonds with the tenant's MAC, and single NICs,
 * the first of them with DHCP on the subnet that the machine boots from. What is in the way goes. A single NIC keeps its own MAC
 * in MAAS, which knows machines that boot by it; the tenant's MAC there, VLAN interfaces and fixed addresses come with the
 * first-boot data.
 * @returns what was done, a line each
 */
export async function prepareInterfaces(
  api: MaasApi,
  machine: MaasMachine,
  plan: NicPlan,
  signal?: AbortSignal,
): Promise<readonly string[]> {
  const work = new InterfaceWork(api, machine, signal);
  const boot = bootNetwork(machine);
  const links = plan.filter((entry) => entry.kind !== 'vlan');
  for (const [index, link] of links.entries()) {
    const one = link.kind === 'bond' ? await work.bond(link, boot) : await work.single(link.hardware);
    if (index === 0) await work.dhcp(one, boot.subnet);
  }
  return work.done;
}

interface BootNetwork {
  /** Numbers in MAAS; null where it does not know them. */
  readonly vlan: number | null;
  readonly subnet: number | null;
}

/** Where the machine boots from: that is where it has its first boot, too. */
function bootNetwork(machine: MaasMachine): BootNetwork {
  const mac = machine.boot_interface ? macOf(machine.boot_interface) : null;
  // The one in the list knows its links when the other is short.
  const boot = machine.interface_set.find((one) => one.type === 'physical' && macOf(one) === mac);
  const candidates = [machine.boot_interface, boot, ...machine.interface_set].filter((one) => one != null);
  const linked = candidates.flatMap((one) => one.links).find(({ subnet }) => subnet != null);
  return {
    vlan: candidates.find((one) => one.vlan != null)?.vlan?.id ?? null,
    subnet: linked?.subnet?.id ?? null,
  };
}

class InterfaceWork {
  readonly done: string[] = [];
  readonly #api: MaasApi;
  readonly #machine: MaasMachine;
  readonly #signal: AbortSignal | undefined;

  constructor(api: MaasApi, machine: MaasMachine, signal: AbortSignal | undefined) {
    this.#api = api;
    this.#machine = machine;
    this.#signal = signal;
  }

  #physical(mac: Mac): MaasInterface {
    const found = this.#machine.interface_set.find((one) => one.type === 'physical' && macOf(one) === mac);
    if (found) return found;
    throw new MaasError({
      code: 'maas.refused',
      what: `machine ${this.#machine.system_id} has no NIC ${mac} there`,
      where: this.#api.where,
      said: `NICs ${this.#machine.interface_set.map((one) => one.mac_address ?? 'without MAC').join(', ')}`,
      retry: 'operator',
      status: null,
    });
  }

  /** A bond over exactly these NICs: an existing one is changed, any other use of them goes first. */
  async bond(link: Bond, boot: BootNetwork): Promise<MaasInterface> {
    const { system_id: id } = this.#machine;
    const nics = link.members.map((mac) => this.#physical(mac));
    const names = nics.map(({ name }) => name);
    // Without a mode MAAS takes balance-rr, which needs a switch that knows of the bond.
    const wanted: Fields = [['mac_address', link.mac], ['bond_mode', link.mode], ...tuning(link)];
    const existing = this.#machine.interface_set.find(
      ({ type, parents }) => type === 'bond' && sameNames(parents, names),
    );
    await this.#clear(names, existing?.name ?? null);
    if (existing) {
      this.done.push(`bond ${existing.name} is there already`);
      return this.#api.changeInterface(id, existing.id, wanted, this.#signal);
    }
    // Parents must be in one VLAN, and their addresses go to the bond.
    for (const nic of nics) {
      await this.#unlink(nic, () => false);
      if (boot.vlan !== null && nic.vlan?.id !== boot.vlan)
        await this.#api.changeInterface(id, nic.id, [['vlan', boot.vlan]], this.#signal);
    }
    this.done.push(`bond ${link.name} of ${names.join(', ')}`);
    return this.#api.createBond(
      id,
      [
        ['name', link.name],
        ...nics.map((nic) => ['parents', nic.id] as const),
        ...wanted,
        ...(boot.vlan === null ? [] : [['vlan', boot.vlan] as const]),
      ],
      this.#signal,
    );
  }

  async single(hardware: Mac): Promise<MaasInterface> {
    const nic = this.#physical(hardware);
    await this.#clear([nic.name], null);
    this.done.push(`NIC ${nic.name} alone`);
    return nic;
  }

  /** DHCP, and nothing else, on the interface. */
  async dhcp(one: MaasInterface, subnet: number | null): Promise<void> {
    const fits = (link: MaasInterface['links'][number]): boolean =>
      link.mode.toLowerCase() === 'dhcp' && (subnet === null || link.subnet?.id === subnet);
    await this.#unlink(one, fits);
    if (one.links.some(fits)) return;
    await this.#api.linkSubnet(
      this.#machine.system_id,
      one.id,
      [['mode', 'DHCP'], ...(subnet === null ? [] : [['subnet', subnet] as const])],
      this.#signal,
    );
    this.done.push(`DHCP on ${one.name}`);
  }

  /** Deletes bonds, bridges and VLANs on top of these NICs, and what is on top of those; the one named stays. */
  async #clear(names: readonly string[], kept: string | null): Promise<void> {
    const onTop = this.#machine.interface_set.filter(
      ({ type, name, parents }) =>
        type !== 'physical' && name !== kept && parents.some((parent) => names.includes(parent)),
    );
    for (const one of onTop) {
      await this.#clear([one.name], kept);
      await this.#api.deleteInterface(this.#machine.system_id, one.id, this.#signal);
      this.done.push(`${one.type} ${one.name} is deleted`);
    }
  }

  async #unlink(one: MaasInterface, stays: (link: MaasInterface['links'][number]) => boolean): Promise<void> {
    for (const link of one.links) {
      // MAAS makes a link_up of its own where the last link goes; it is in nobody's way.
      if (stays(link) || link.mode.toLowerCase() === 'link_up') continue;
      await this.#api.unlinkSubnet(this.#machine.system_id, one.id, link.id, this.#signal);
    }
  }
}

/** Fields of MAAS for what the plan says of a bond; it watches the members' links in any case. */
function tuning(link: Bond): Fields {
  const values = [
    ['bond_miimon', link.miimon ?? 100],
    ['bond_updelay', link.upDelay],
    ['bond_downdelay', link.downDelay],
    ['bond_num_grat_arp', link.gratuitousArp],
    ['bond_lacp_rate', link.lacpRate],
    ['bond_xmit_hash_policy', link.hashPolicy],
  ] as const;
  return values.flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const]));
}

function sameNames(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((name) => b.includes(name));
}
