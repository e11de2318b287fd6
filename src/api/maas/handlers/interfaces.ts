import { isDeepStrictEqual } from 'node:util';
import { gatewayKey, type MachineProfile } from '../../../core/machine/profile.ts';
import {
  InterfaceModel,
  InterfaceRefusal,
  type InterfaceOrder,
  type NextNumbers,
} from '../../../core/network/interface-model.ts';
import type { Interface } from '../../../core/network/interface.ts';
import type { Tx } from '../../../core/storage/storage.ts';
import { Profiles } from '../../../operations/profiles.ts';
import { refuseForeignAddress } from '../address-use.ts';
import type { Fields } from '../fields.ts';
import { flagOf, mandatoryParameter, wholeNumber } from '../form-values.ts';
import type { MaasAction, MaasCall, MaasHandler, MaasReply } from '../handler.ts';
import type { MaasContext } from '../maas-context.ts';
import { invalidField, MaasRefusal, notFound } from '../maas-refusal.ts';
import { MachineDesk, refuseElsewhere, type SeenMachine } from '../machine-desk.ts';
import { words } from '../machine-query.ts';
import { interfacesOf } from '../machine-sight.ts';
import { interfacesJson, type InterfaceJson } from '../shapes/interface.ts';
import type { StatusNumber } from '../status.ts';

/** New, Ready, Allocated, Failed testing, Broken: nothing is installed, or about to be. */
const changeable: ReadonlySet<StatusNumber> = new Set([0, 4, 8, 10, 22] as const);
const deployed: StatusNumber = 6;
/** A deployed machine keeps what it has, and what is said about it may be put right. */
const updatable: ReadonlySet<StatusNumber> = new Set([...changeable, deployed]);

/** Where the profile keeps which numbers come next. */
const numbersKey = 'interface_numbers';

const common: Readonly<Record<string, string>> = {
  tags: 'Tags, separated by commas.',
  mtu: 'MTU; that of the VLAN where none is said.',
  accept_ra: 'Only kept: the system decides whether it takes router advertisements.',
};
const speeds: Readonly<Record<string, string>> = {
  link_connected: 'Taken and not needed: NICs tell it themselves.',
  interface_speed: 'Taken and not needed: NICs tell it themselves.',
  link_speed: 'Taken and not needed: NICs tell it themselves.',
};
const bond: Readonly<Record<string, string>> = {
  bond_mode: 'balance-rr, active-backup, balance-xor, broadcast, 802.3ad, balance-tlb or balance-alb.',
  bond_miimon: 'Milliseconds between looks at the links. Default 100.',
  bond_downdelay: 'Milliseconds. Default 0.',
  bond_updelay: 'Milliseconds. Default 0.',
  bond_num_grat_arp: '0 to 255. Default 1.',
  bond_lacp_rate: 'fast or slow. Default fast.',
  bond_xmit_hash_policy: 'layer2 (default), layer2+3, layer3+4, encap2+3 or encap3+4.',
};
const bridge: Readonly<Record<string, string>> = {
  bridge_type: 'standard or ovs. Default standard.',
  bridge_stp: 'Whether it takes part in the spanning tree. Default false.',
  bridge_fd: 'Forward delay, seconds. Default 15.',
};

/** `nodes/{system_id}/interfaces/` */
export function interfacesHandler(context: MaasContext): MaasHandler {
  const desk = new InterfaceDesk(context);
  const creating = (
    kind: Interface['kind'],
    doc: string,
    params: Readonly<Record<string, string>>,
    create: (model: InterfaceModel, order: InterfaceOrder) => Interface,
  ): MaasAction => ({
    method: 'POST',
    op: `create_${kind}`,
    doc,
    params: { ...params, ...common },
    handle: (call) =>
      desk.change(call, `create ${kind} interface`, changeable, async (model, tx) => {
        const order = orderOf(call.fields);
        if (kind === 'physical') await refuseForeignMac(tx, call, order.mac);
        return { id: create(model, order).id };
      }),
  });
  return {
    name: 'InterfacesHandler',
    doc: 'Interfaces of a machine.',
    path: 'nodes/{system_id}/interfaces/',
    actions: [
      {
        method: 'GET',
        op: null,
        doc: 'List the interfaces.',
        handle: async (call): Promise<MaasReply> => ({ json: desk.json(await desk.find(call)) }),
      },
      creating(
        'physical',
        'Add a NIC that the inventory has not found.',
        {
          name: 'Name.',
          mac_address: 'MAC address. Required.',
          vlan: 'Number of the untagged VLAN.',
          ...speeds,
        },
        (model, order) => model.createPhysical(order),
      ),
      creating(
        'bond',
        'Bond NICs.',
        {
          name: 'Name. Required.',
          parents: 'Numbers of the NICs; repeated. Required.',
          mac_address: 'MAC address. Default that of the first NIC.',
          vlan: 'Number of the untagged VLAN. Default that of the NICs.',
          ...bond,
          ...speeds,
        },
        (model, order) => model.createBond(order),
      ),
      creating(
        'vlan',
        'Add an interface for a tagged VLAN.',
        { parent: 'Number of the interface below. Required.', vlan: 'Number of the tagged VLAN. Required.' },
        (model, order) => model.createVlan(order),
      ),
      creating(
        'bridge',
        'Add a bridge on an interface.',
        {
          name: 'Name.',
          parent: 'Number of the interface below. Required.',
          mac_address: 'MAC address. Default that of the interface below.',
          vlan: 'Number of the untagged VLAN.',
          ...bridge,
        },
        (model, order) => model.createBridge(order),
      ),
    ],
  };
}

/** `nodes/{system_id}/interfaces/{id}/`, by number or name. */
export function interfaceHandler(context: MaasContext): MaasHandler {
  const desk = new InterfaceDesk(context);
  const one = (
    op: string,
    doc: string,
    params: Readonly<Record<string, string>>,
    what: string,
    work: (
      model: InterfaceModel,
      id: number,
      call: MaasCall,
      tx: Tx,
    ) => Interface | Gateway | Promise<Interface | Gateway>,
  ): MaasAction => ({
    method: 'POST',
    op,
    doc,
    params,
    handle: (call) =>
      desk.change(call, what, changeable, async (model, tx) => {
        const id = desk.idIn(model.interfaces, call);
        const outcome = await work(model, id, call, tx);
        return 'family' in outcome ? { id, gateway: outcome } : { id };
      }),
  });
  return {
    name: 'InterfaceHandler',
    doc: 'One interface of a machine.',
    path: 'nodes/{system_id}/interfaces/{id}/',
    actions: [
      {
        method: 'GET',
        op: null,
        doc: 'Read an interface.',
        handle: async (call): Promise<MaasReply> => {
          const seen = await desk.find(call);
          const id = desk.idIn(interfacesOf(seen.sight), call);
          return { json: desk.json(seen).find((each) => each.id === id) };
        },
      },
      {
        method: 'PUT',
        op: null,
        doc: 'Change an interface: only what is said changes.',
        params: {
          name: 'Name.',
          mac_address: 'MAC address.',
          vlan: 'Number of the VLAN; empty = disconnected.',
          parents: 'Numbers of the interfaces below; repeated.',
          parent: 'The same for one.',
          enabled: 'Whether it is used.',
          ...common,
          ...bond,
          ...bridge,
          ...speeds,
        },
        handle: (call) =>
          desk.change(call, 'update interface', updatable, async (model, tx) => {
            const id = desk.idIn(model.interfaces, call);
            const order = orderOf(call.fields);
            if (model.find(id)?.kind === 'physical') await refuseForeignMac(tx, call, order.mac);
            return { id: model.update(id, order).id };
          }),
      },
      {
        method: 'DELETE',
        op: null,
        doc: 'Delete an interface, and what stands on it alone.',
        handle: async (call): Promise<MaasReply> => {
          await desk.change(call, 'delete interface', changeable, async (model) => {
            model.delete(desk.idIn(model.interfaces, call));
            return { id: null };
          });
          return { empty: true };
        },
      },
      one(
        'link_subnet',
        'Link an interface to a subnet.',
        {
          mode: 'AUTO, DHCP, STATIC or LINK_UP. Required.',
          subnet: 'Number of the subnet.',
          ip_address: 'Address, for STATIC.',
          force: 'true: drop the links that it has, and move it to the VLAN of the subnet.',
          default_gateway: "true: the machine's default route goes through it.",
        },
        'link interface',
        async (model, id, call, tx) => {
          const { fields } = call;
          await refuseForeignAddress(tx, call, call.param('system_id'));
          const changed = model.linkSubnet(id, {
            mode: fields.get('mode'),
            subnet: wholeNumber(fields, 'subnet'),
            address: fields.get('ip_address'),
            force: flagOf(fields, 'force') ?? false,
          });
          if (flagOf(fields, 'default_gateway') !== true) return changed;
          const { mode, id: link } = changed.links.at(-1)!;
          if (mode !== 'auto' && mode !== 'static')
            throw new InterfaceRefusal('default_gateway', `Cannot use in mode '${mode.toUpperCase()}'.`);
          return model.defaultGateway(id, link);
        },
      ),
      one(
        'unlink_subnet',
        'Drop a link of an interface.',
        { id: 'Number of the link. Required.' },
        'unlink interface',
        (model, id, { fields }) => model.unlinkSubnet(id, wholeNumber(fields, 'id')),
      ),
      one(
        'disconnect',
        'Drop every link of an interface, and take it out of its VLAN.',
        {},
        'disconnect interface',
        (model, id) => model.disconnect(id),
      ),
      one(
        'set_default_gateway',
        "Let the machine's default route go through a link of the interface.",
        { link_id: 'Number of the link, where there are several.' },
        'set the default gateway',
        (model, id, { fields }) => model.defaultGateway(id, wholeNumber(fields, 'link_id')),
      ),
      one('add_tag', 'Add a tag.', { tag: 'The tag. Required.' }, 'tag interface', (model, id, { fields }) =>
        model.addTag(id, mandatoryParameter(fields, 'tag')),
      ),
      one(
        'remove_tag',
        'Remove a tag.',
        { tag: 'The tag. Required.' },
        'untag interface',
        (model, id, { fields }) => model.removeTag(id, mandatoryParameter(fields, 'tag')),
      ),
    ],
  };
}

/** The link that has the machine's default gateway of a family. */
type Gateway = ReturnType<InterfaceModel['defaultGateway']>;

/** Changes the interfaces; tells the number of the one to answer with. */
type Work = (
  model: InterfaceModel,
  tx: Tx,
) => Promise<{ readonly id: number | null; readonly gateway?: Gateway }>;

/** Interfaces of machines, read and changed. */
class InterfaceDesk {
  readonly #context: MaasContext;
  readonly #machines: MachineDesk;
  readonly #profiles: Profiles;

  constructor(context: MaasContext) {
    this.#context = context;
    this.#machines = new MachineDesk(context);
    this.#profiles = new Profiles(context.storage);
  }

  find(call: MaasCall): Promise<SeenMachine> {
    return this.#machines.find(call.user, call.param('system_id'));
  }

  json({ sight, around }: SeenMachine): readonly InterfaceJson[] {
    return interfacesJson(sight.machine.id, interfacesOf(sight), sight.machine.nics, around.network);
  }

  /** The number of the interface that the path names. @throws MaasRefusal 404 */
  idIn(interfaces: readonly Interface[], call: MaasCall): number {
    const named = call.param('id');
    const found = interfaces.find(({ id, name }) => String(id) === named || name === named);
    if (!found) throw notFound('Interface');
    return found.id;
  }

  /** Changes the interfaces, and answers with the one whose number `work` gives. */
  change(call: MaasCall, what: string, statuses: ReadonlySet<StatusNumber>, work: Work): Promise<MaasReply> {
    const { settings, storage } = this.#context;
    return storage.run(async (tx) => {
      const seen = await this.#machines.findIn(tx, call.user, call.param('system_id'));
      const { machine, profile, deployment } = seen.sight;
      refuseElsewhere(seen.sight);
      // One that is withheld as well, which is told as Broken: its ports are as they were deployed.
      const isDeployed = machine.state === 'deployed' || deployment?.state === 'installed';
      if (!statuses.has(seen.status.status) || (isDeployed && !statuses.has(deployed)))
        throw new MaasRefusal(
          409,
          `Cannot ${what} because the machine is not New, Ready, Allocated, or Broken.`,
        );
      const model = new InterfaceModel({
        interfaces: interfacesOf(seen.sight),
        numbers: numbersOf(profile),
        network: seen.around.network,
        defaultBondMode: settings.strict === 'canonical' ? 'balance-rr' : 'active-backup',
      });
      const before = model.interfaces;
      const { id, gateway } = await refusing(() => work(model, tx));
      if (isDeployed) refuseMoved(before, model.interfaces);
      await this.#profiles.change(machine.id, call.user.asker(), (before) => ({
        ...before,
        interfaces: model.interfaces,
        kept: {
          ...before.kept,
          [numbersKey]: { ...model.numbers },
          ...(gateway && { [gatewayKey[gateway.family]]: gateway.link }),
        },
      }));
      if (id === null) return { json: null };
      const changed = { ...seen.sight, profile: { ...profile, interfaces: model.interfaces } };
      return { json: this.json({ ...seen, sight: changed }).find((each) => each.id === id) };
    });
  }
}

/** Tells a refusal of the rules as MAAS's forms do. */
export async function refusing<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (thrown) {
    if (thrown instanceof InterfaceRefusal) throw new MaasRefusal(400, thrown.fields);
    throw thrown;
  }
}

function numbersOf({ kept }: MachineProfile): NextNumbers | null {
  const numbers = kept[numbersKey] as { readonly interface?: unknown; readonly link?: unknown } | undefined;
  if (typeof numbers?.interface !== 'number' || typeof numbers.link !== 'number') return null;
  return { interface: numbers.interface, link: numbers.link };
}

/** What the form says of an interface. */
export function orderOf(fields: Fields): InterfaceOrder {
  const text = (name: string): string | undefined => {
    const value = fields.get(name)?.trim();
    return value === '' ? undefined : value;
  };
  const parents = [...fields.all('parents'), ...fields.all('parent')]
    .flatMap((value) => value.split(','))
    .map((value) => value.trim())
    .filter((value) => value !== '');
  const vlan = fields.has('vlan') ? (wholeNumber(fields, 'vlan') ?? null) : undefined;
  const enabled = flagOf(fields, 'enabled');
  return {
    name: text('name'),
    mac: text('mac_address'),
    vlan,
    ...(parents.length > 0 && { parents: parents.map(parentNumber) }),
    ...(fields.has('tags') && { tags: [...new Set(words(fields.all('tags')))] }),
    ...(enabled !== null && { enabled }),
    params: Object.fromEntries(
      fields.entries.filter(([name]) => /^(mtu|accept_ra|bond_|bridge_)/.test(name)),
    ),
  };
}

function parentNumber(text: string): number {
  if (!/^\d{1,9}$/.test(text))
    throw invalidField('parents', `'${text}' is not a valid value for a primary key.`);
  return Number(text);
}

/** Ports follow the interfaces when a machine is deployed, not later: it must not be said to be in another VLAN than it is. */
function refuseMoved(before: readonly Interface[], after: readonly Interface[]): void {
  const moved = after.find((one) => {
    const was = before.find(({ id }) => id === one.id);
    return was && !(was.vlan === one.vlan && isDeepStrictEqual(was.parents, one.parents));
  });
  if (moved)
    throw new MaasRefusal(
      409,
      `Cannot change the VLAN or the parents of interface ${moved.name} because the machine is Deployed: its ports are set when it is deployed.`,
    );
}

/** A NIC's MAC is its own over all machines. */
async function refuseForeignMac(tx: Tx, call: MaasCall, mac: string | undefined): Promise<void> {
  if (mac === undefined) return;
  const lower = mac.toLowerCase().replaceAll('-', ':');
  const [owner] = await tx.machines.shown(await tx.machines.idsOfMacs([lower as never]));
  if (owner && owner.id !== call.param('system_id'))
    throw invalidField('mac_address', `This MAC address is already in use by ${owner.hostname}.`);
}
