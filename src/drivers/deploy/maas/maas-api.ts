import type { BmcTarget, Mac } from '../../../../plugin-api/index.ts';
import { macOf } from './inventory.ts';
import type { Fields, MaasClient } from './maas-client.ts';
import { isGone } from './maas-error.ts';
import {
  anyShape,
  bootResourcesShape,
  eventsShape,
  interfaceShape,
  machineShape,
  machinesShape,
  powerParametersShape,
  powerStateShape,
  rackControllersShape,
  rackImagesShape,
  userShape,
  type MaasInterface,
  type MaasMachine,
} from './maas-shapes.ts';

/** The calls of the MAAS API that a deploy engine makes, each as MAAS documents it. */
export class MaasApi {
  readonly #client: MaasClient;
  #username: string | null = null;

  constructor(client: MaasClient) {
    this.#client = client;
  }

  get where(): string {
    return this.#client.where;
  }

  /** The user whose key we have: machines that it owns are ours. */
  async username(signal?: AbortSignal): Promise<string> {
    this.#username ??= (
      await this.#client.call({
        method: 'GET',
        path: 'users/',
        op: 'whoami',
        shape: userShape,
        what: 'ask whose key it is',
        signal,
      })
    ).username;
    return this.#username;
  }

  async machine(systemId: string, signal?: AbortSignal): Promise<MaasMachine> {
    const what = `read machine ${systemId}`;
    return this.#client.call({
      method: 'GET',
      path: machinePath(systemId),
      shape: shapeOf(systemId),
      what,
      signal,
    });
  }

  /** Machines that have any of these NICs. */
  async machinesByMac(macs: readonly Mac[], signal?: AbortSignal): Promise<readonly MaasMachine[]> {
    const fields = macs.map((mac) => ['mac_address', mac] as const);
    const what = `find a machine by MAC ${macs.join(', ')}`;
    const found = await this.#client.call({
      method: 'GET',
      path: 'machines/',
      fields,
      shape: machinesShape,
      what,
      signal,
    });
    // What is between us and MAAS may have lost the question: then these are all machines, or somebody else's.
    return found.filter((machine) => machine.interface_set.some((one) => macs.includes(macOf(one)!)));
  }

  /** System ids of machines whose BMC has this address. Only an administrator of MAAS may ask. */
  async systemIdsByBmc(bmc: BmcTarget, signal?: AbortSignal): Promise<readonly string[]> {
    const wanted = powerAddress(bmc);
    const parameters = await this.#client.call({
      method: 'GET',
      path: 'machines/',
      op: 'power_parameters',
      shape: powerParametersShape,
      what: `find a machine by BMC address ${wanted}`,
      signal,
    });
    return Object.entries(parameters)
      .filter(([, { power_address: address }]) => address === wanted)
      .map(([systemId]) => systemId);
  }

  async create(machine: NewMachine, signal?: AbortSignal): Promise<MaasMachine> {
    const { bmc } = machine;
    const what = `add machine ${machine.hostname}`;
    const fields: Fields = [
      ['architecture', machine.architecture],
      ['hostname', machine.hostname],
      ...machine.macs.map((mac) => ['mac_addresses', mac] as const),
      ...(machine.pool === undefined ? [] : [['pool', machine.pool] as const]),
      ['power_type', 'ipmi'],
      ['power_parameters_power_address', powerAddress(bmc)],
      ['power_parameters_power_driver', 'LAN_2_0'],
      ['power_parameters_power_boot_type', machine.firmware === 'efi' ? 'efi' : 'legacy'],
      ['power_parameters_power_user', bmc.username],
      ['power_parameters_power_pass', bmc.password],
      ...(bmc.kg ? [['power_parameters_k_g', bmc.kg] as const] : []),
      ['power_parameters_cipher_suite_id', bmc.knownSuite ?? bmc.minSuite],
      ['power_parameters_privilege_level', bmc.privilege === 'administrator' ? 'ADMIN' : 'OPERATOR'],
      // Said by itself afterwards, with its own parameters.
      ['commission', false],
    ];
    return this.#client.call({
      method: 'POST',
      path: 'machines/',
      fields,
      shape: machineShape,
      what,
      signal,
    });
  }

  /** Inventory only: our BMC user stays as it is, and MAAS's tests of disks and memory take hours. */
  async commission(systemId: string, signal?: AbortSignal): Promise<MaasMachine> {
    return this.#machineOp(systemId, 'commission', signal, [
      ['skip_bmc_config', 1],
      ['testing_scripts', 'none'],
    ]);
  }

  async allocate(systemId: string, comment: string, signal?: AbortSignal): Promise<MaasMachine> {
    const fields: Fields = [
      ['system_id', systemId],
      ['agent_name', 'csbm'],
      ['comment', comment],
    ];
    const what = `allocate machine ${systemId}`;
    return this.#client.call({
      method: 'POST',
      path: 'machines/',
      op: 'allocate',
      fields,
      shape: machineShape,
      what,
      signal,
    });
  }

  async deploy(
    systemId: string,
    order: { readonly image: string; readonly userData: string | null; readonly comment: string },
    signal?: AbortSignal,
  ): Promise<MaasMachine> {
    return this.#machineOp(systemId, 'deploy', signal, [
      ['distro_series', order.image],
      // Raw user data breaks in forms; MAAS decodes what is base64.
      ...(order.userData === null
        ? []
        : [['user_data', Buffer.from(order.userData).toString('base64')] as const]),
      ['comment', order.comment],
    ]);
  }

  async release(systemId: string, fields: Fields, signal?: AbortSignal): Promise<MaasMachine> {
    return this.#machineOp(systemId, 'release', signal, fields);
  }

  async abort(systemId: string, signal?: AbortSignal): Promise<void> {
    await this.#machineOp(systemId, 'abort', signal);
  }

  async rename(systemId: string, hostname: string, signal?: AbortSignal): Promise<void> {
    const what = `name machine ${systemId} ${hostname}`;
    const fields: Fields = [['hostname', hostname]];
    await this.#client.call({
      method: 'PUT',
      path: machinePath(systemId),
      fields,
      shape: anyShape,
      what,
      signal,
    });
  }

  /** Only for machines that we own; an empty value removes its name. */
  async setOwnerData(
    systemId: string,
    data: Readonly<Record<string, string>>,
    signal?: AbortSignal,
  ): Promise<MaasMachine> {
    return this.#machineOp(systemId, 'set_owner_data', signal, Object.entries(data));
  }

  /** `on`, `off`, or what else MAAS makes of it. It asks the BMC, which takes up to a minute. */
  async powerState(systemId: string, signal?: AbortSignal): Promise<string> {
    const answer = await this.#client.call({
      method: 'GET',
      path: machinePath(systemId),
      op: 'query_power_state',
      shape: powerStateShape,
      what: `ask for the power of machine ${systemId}`,
      signal,
    });
    return answer.state;
  }

  /** The latest events of warning level and above, newest first. */
  async warnings(systemId: string, signal?: AbortSignal): Promise<readonly string[]> {
    return (await this.#events(systemId, 'WARNING', 5, signal)).map(({ created, type, description }) =>
      [created, type, description].filter((part) => part != null && part !== '').join(' '),
    );
  }

  /**
   * Whether the erase that was asked for with this comment was broken off: by a user, or because it failed. MAAS shows neither on
   * a machine that was released since. False where its request is not among the latest events.
   */
  async eraseBrokenOff(systemId: string, comment: string, signal?: AbortSignal): Promise<boolean> {
    const events = await this.#events(systemId, 'DEBUG', 1_000, signal);
    // maas/maas, src/provisioningserver/events.py, EVENT_DETAILS: REQUEST_NODE_ERASE_DISK, REQUEST_NODE_ABORT_ERASE_DISK,
    // REQUEST_NODE_MARK_FAILED and REQUEST_NODE_MARK_FAILED_SYSTEM.
    const asked = events.findIndex(
      ({ type, description }) => type === 'User erasing disk' && description?.endsWith(comment),
    );
    const endings = /^(User aborting disk erase|(User m|M)arking node failed)$/;
    return events.slice(0, Math.max(0, asked)).some(({ type }) => endings.test(type ?? ''));
  }

  /** The latest events of a machine of this level and above, newest first. */
  async #events(systemId: string, level: 'DEBUG' | 'WARNING', limit: number, signal?: AbortSignal) {
    const { events } = await this.#client.call({
      method: 'GET',
      path: 'events/',
      op: 'query',
      fields: [
        ['id', systemId],
        ['level', level],
        ['limit', limit],
      ],
      shape: eventsShape,
      what: `read events of machine ${systemId}`,
      signal,
    });
    return events;
  }

  async createBond(systemId: string, fields: Fields, signal?: AbortSignal): Promise<MaasInterface> {
    return this.#client.call({
      method: 'POST',
      path: `nodes/${encodeURIComponent(systemId)}/interfaces/`,
      op: 'create_bond',
      fields,
      shape: interfaceShape,
      what: `bond NICs of machine ${systemId}`,
      signal,
    });
  }

  async changeInterface(
    systemId: string,
    id: number,
    fields: Fields,
    signal?: AbortSignal,
  ): Promise<MaasInterface> {
    return this.#client.call({
      method: 'PUT',
      path: interfacePath(systemId, id),
      fields,
      shape: interfaceShape,
      what: `change interface ${id} of machine ${systemId}`,
      signal,
    });
  }

  async deleteInterface(systemId: string, id: number, signal?: AbortSignal): Promise<void> {
    const what = `delete interface ${id} of machine ${systemId}`;
    try {
      await this.#client.call({
        method: 'DELETE',
        path: interfacePath(systemId, id),
        shape: anyShape,
        what,
        signal,
      });
    } catch (thrown) {
      if (!isGone(thrown)) throw thrown;
    }
  }

  async linkSubnet(
    systemId: string,
    id: number,
    fields: Fields,
    signal?: AbortSignal,
  ): Promise<MaasInterface> {
    return this.#client.call({
      method: 'POST',
      path: interfacePath(systemId, id),
      op: 'link_subnet',
      fields,
      shape: interfaceShape,
      what: `link interface ${id} of machine ${systemId}`,
      signal,
    });
  }

  async unlinkSubnet(
    systemId: string,
    id: number,
    linkId: number,
    signal?: AbortSignal,
  ): Promise<MaasInterface> {
    return this.#client.call({
      method: 'POST',
      path: interfacePath(systemId, id),
      op: 'unlink_subnet',
      fields: [['id', linkId]],
      shape: interfaceShape,
      what: `unlink interface ${id} of machine ${systemId}`,
      signal,
    });
  }

  /** Creates the tag where it is not there, and puts it on the machine. */
  async tag(systemId: string, name: string, signal?: AbortSignal): Promise<void> {
    const path = tagPath(name);
    const what = `tag machine ${systemId} ${name}`;
    try {
      await this.#client.call({ method: 'GET', path, shape: anyShape, what, signal });
    } catch (thrown) {
      if (!isGone(thrown)) throw thrown;
      const fields: Fields = [
        ['name', name],
        ['comment', 'set by csbm'],
      ];
      await this.#client.call({ method: 'POST', path: 'tags/', fields, shape: anyShape, what, signal });
    }
    const fields: Fields = [['add', systemId]];
    await this.#client.call({
      method: 'POST',
      path,
      op: 'update_nodes',
      fields,
      shape: anyShape,
      what,
      signal,
    });
  }

  /** Takes the tag off; a tag that is not there is off. It stays in MAAS for the next machine. */
  async untag(systemId: string, name: string, signal?: AbortSignal): Promise<void> {
    const what = `take tag ${name} off machine ${systemId}`;
    const fields: Fields = [['remove', systemId]];
    try {
      await this.#client.call({
        method: 'POST',
        path: tagPath(name),
        op: 'update_nodes',
        fields,
        shape: anyShape,
        what,
        signal,
      });
    } catch (thrown) {
      if (!isGone(thrown)) throw thrown;
    }
  }

  async bootResources(signal?: AbortSignal): Promise<readonly { name: string; architecture: string }[]> {
    const what = 'list boot resources';
    return this.#client.call({
      method: 'GET',
      path: 'boot-resources/',
      shape: bootResourcesShape,
      what,
      signal,
    });
  }

  /** Names of the images on each rack controller. */
  async rackImages(signal?: AbortSignal): Promise<readonly ReadonlySet<string>[]> {
    const racks = await this.#client.call({
      method: 'GET',
      path: 'rackcontrollers/',
      shape: rackControllersShape,
      what: 'list rack controllers',
      signal,
    });
    return Promise.all(
      racks.map(async ({ system_id: id }) => {
        const { images } = await this.#client.call({
          method: 'GET',
          path: `rackcontrollers/${encodeURIComponent(id)}/`,
          op: 'list_boot_images',
          shape: rackImagesShape,
          what: `list images of rack controller ${id}`,
          signal,
        });
        return new Set(images.map(({ name }) => name));
      }),
    );
  }

  #machineOp(
    systemId: string,
    op: string,
    signal: AbortSignal | undefined,
    fields: Fields = [],
  ): Promise<MaasMachine> {
    const what = `${op.replaceAll('_', ' ')} of machine ${systemId}`;
    return this.#client.call({
      method: 'POST',
      path: machinePath(systemId),
      op,
      fields,
      shape: shapeOf(systemId),
      what,
      signal,
    });
  }
}

export interface NewMachine {
  readonly hostname: string;
  readonly macs: readonly Mac[];
  /** As MAAS names it: `amd64`. */
  readonly architecture: string;
  readonly firmware: 'legacy' | 'efi';
  readonly bmc: BmcTarget;
  readonly pool?: string | undefined;
}

/** MAAS has no field for a port, and knows 623 only; another one is for a MAAS that takes it with the address, or refuses it. */
function powerAddress({ host, port }: BmcTarget): string {
  if (port === 623) return host;
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** The machine that was asked for, and no other. */
function shapeOf(systemId: string) {
  return machineShape.refine((machine) => machine.system_id === systemId, { path: ['system_id'] });
}

function machinePath(systemId: string): string {
  return `machines/${encodeURIComponent(systemId)}/`;
}

function interfacePath(systemId: string, id: number): string {
  return `nodes/${encodeURIComponent(systemId)}/interfaces/${id}/`;
}

function tagPath(name: string): string {
  return `tags/${encodeURIComponent(name)}/`;
}
