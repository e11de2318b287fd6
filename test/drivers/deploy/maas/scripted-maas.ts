import http from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { fromHeader } from '../../../../src/wire/oauth/oauth-values.ts';
import { status } from '../../../../src/drivers/deploy/maas/maas-shapes.ts';

export const apiKey = 'aConsumerKey123456:aTokenKey123456789:aTokenSecret1234567890123456789012';
export const tokenSecret = apiKey.split(':')[2]!;
export const username = 'csbm';

const names: Readonly<Record<number, string>> = {
  0: 'New',
  1: 'Commissioning',
  2: 'Failed commissioning',
  4: 'Ready',
  6: 'Deployed',
  8: 'Broken',
  9: 'Deploying',
  10: 'Allocated',
  11: 'Failed deployment',
  12: 'Releasing',
  13: 'Releasing failed',
  14: 'Disk erasing',
  15: 'Failed disk erasing',
  21: 'Testing',
};

export interface Call {
  readonly method: string;
  /** Below `/MAAS/api/2.0/`, without its query. */
  readonly path: string;
  readonly op: string | null;
  readonly query: URLSearchParams;
  readonly form: URLSearchParams;
  readonly authorization: string;
  readonly contentType: string;
}

interface Reply {
  readonly code: number;
  readonly body: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** What goes wrong with one call. */
export type Fault =
  | {
      readonly kind: 'answer';
      readonly code: number;
      readonly type: string;
      readonly body: string;
      readonly retryAfter?: string;
    }
  /** The call is done, then the connection is cut. */
  | { readonly kind: 'cut-after' }
  | { readonly kind: 'cut-before' }
  | { readonly kind: 'silent' }
  | { readonly kind: 'huge' };

interface Link {
  id: number;
  mode: string;
  subnet?: { id: number; vlan: { id: number } };
}

interface Interface {
  id: number;
  name: string;
  type: string;
  mac_address: string;
  vlan: { id: number } | null;
  parents: string[];
  links: Link[];
  params: unknown;
  link_connected: boolean;
  link_speed: number;
}

export interface FakeMachine {
  system_id: string;
  hostname: string;
  status: number;
  status_message: string | null;
  error_description: string;
  owner: string | null;
  owner_data: Record<string, string>;
  tag_names: string[];
  architecture: string;
  osystem: string;
  distro_series: string;
  cpu_count: number;
  memory: number;
  bios_boot_method: string | null;
  power_state: string;
  hardware_info: Record<string, string>;
  interface_set: Interface[];
  boot_disk: { name: string; serial: string; model: string; size: number; tags: string[] } | null;
  physicalblockdevice_set: { name: string; serial: string; model: string; size: number; tags: string[] }[];
  /** Not shown: */
  power_parameters: Record<string, unknown>;
  user_data: string | null;
  release: Readonly<Record<string, string>> | null;
}

/**
 * A MAAS that answers the engine's calls as `maas/maas` does (states and their transitions, 409s, forms), from one page of
 * state; which the engine's test changes, and spoils. Its shapes are those of gomaasclient's and MAAS's own fixtures.
 */
export class ScriptedMaas {
  readonly machines: FakeMachine[] = [];
  readonly tags = new Set<string>();
  readonly calls: Call[] = [];
  readonly nonces = new Set<string>();
  images = [
    { id: 1, type: 'Synced', name: 'ubuntu/jammy', architecture: 'amd64', subarches: 'generic' },
    { id: 2, type: 'Synced', name: 'ubuntu/jammy', architecture: 'arm64', subarches: 'generic' },
    { id: 3, type: 'Uploaded', name: 'debian-12', architecture: 'amd64', subarches: 'generic' },
    { id: 4, type: 'Synced', name: 'ubuntu/noble', architecture: 'arm64', subarches: 'generic' },
    { id: 5, type: 'Uploaded', name: 'windows/win2022', architecture: 'amd64', subarches: 'generic' },
  ];
  rackImages: string[] = ['ubuntu/jammy', 'custom/debian-12'];
  /** Faults by `METHOD path op`, each used once, in their order. */
  readonly faults: { readonly match: RegExp; readonly fault: Fault }[] = [];
  /** Events of what users asked for, oldest first. */
  readonly requests: { created: string; type: string; description: string }[] = [];
  /** Answered for any machine instead of that; null = as it should be. */
  mistaken: FakeMachine | null = null;
  /** Whether power parameters may be read. */
  admin = true;
  readonly #server: http.Server;
  readonly #sockets = new Set<Socket>();
  #nextId = 100;

  private constructor() {
    this.#server = http.createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => this.#serve(request, Buffer.concat(chunks).toString('utf8'), response));
    });
    this.#server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
    });
  }

  static async start(): Promise<ScriptedMaas> {
    const maas = new ScriptedMaas();
    await new Promise<void>((resolve) => maas.#server.listen(0, '127.0.0.1', resolve));
    return maas;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/MAAS`;
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  spoil(match: RegExp, ...faults: readonly Fault[]): void {
    for (const fault of faults) this.faults.push({ match, fault });
  }

  /** Calls as `POST machines/abc123/ deploy`, those that change something. */
  changes(): readonly string[] {
    return this.calls
      .filter(({ method }) => method !== 'GET')
      .map(({ method, path, op }) => [method, path, op].filter((part) => part !== null).join(' '));
  }

  add(machine: Partial<FakeMachine> & { readonly macs?: readonly string[] } = {}): FakeMachine {
    const { macs = ['52:54:00:11:22:33', '52:54:00:11:22:34'], ...more } = machine;
    const disk = { name: 'sda', serial: 'S-1', model: 'M-1', size: 480_000_000_000, tags: ['ssd'] };
    const added: FakeMachine = {
      system_id: `m${(this.#nextId += 1)}xyz`.slice(0, 6),
      hostname: 'calm-cod',
      status: status.ready,
      status_message: null,
      error_description: '',
      owner: null,
      owner_data: {},
      tag_names: [],
      architecture: 'amd64/generic',
      osystem: '',
      distro_series: '',
      cpu_count: 16,
      memory: 65_536,
      bios_boot_method: 'uefi',
      power_state: 'off',
      hardware_info: {
        system_vendor: 'Acme',
        system_product: 'R1',
        system_serial: 'SN-1',
        mainboard_vendor: 'Unknown',
      },
      interface_set: macs.map((mac, index) => this.#nic(`eno${index + 1}`, mac, index === 0)),
      boot_disk: disk,
      physicalblockdevice_set: [disk, { ...disk, name: 'sdb', serial: 'S-2', tags: ['rotary'] }],
      power_parameters: { power_address: '10.0.0.5', power_pass: 'bmc-geheim' },
      user_data: null,
      release: null,
      ...more,
    };
    this.machines.push(added);
    return added;
  }

  #nic(name: string, mac: string, linked: boolean): Interface {
    const id = (this.#nextId += 1);
    const subnet = { id: 7, vlan: { id: 5001 } };
    return {
      id,
      name,
      type: 'physical',
      mac_address: mac,
      vlan: linked ? { id: 5001 } : null,
      parents: [],
      links: linked ? [{ id: (this.#nextId += 1), mode: 'auto', subnet }] : [],
      params: '',
      link_connected: true,
      link_speed: 10_000,
    };
  }

  #serve(request: http.IncomingMessage, body: string, response: http.ServerResponse): void {
    const url = new URL(request.url ?? '/', 'http://maas');
    const call: Call = {
      method: request.method ?? '',
      path: url.pathname.replace('/MAAS/api/2.0/', ''),
      op: url.searchParams.get('op'),
      query: url.searchParams,
      form: new URLSearchParams(body),
      authorization: request.headers.authorization ?? '',
      contentType: request.headers['content-type'] ?? '',
    };
    this.calls.push(call);
    const title = [call.method, call.path, call.op ?? ''].join(' ').trim();
    const index = this.faults.findIndex(({ match }) => match.test(title));
    const [spoilt] = index < 0 ? [] : this.faults.splice(index, 1);
    const fault = spoilt?.fault;
    if (fault?.kind === 'cut-before') return void request.socket.destroy();
    if (fault?.kind === 'silent') return;
    if (fault?.kind === 'answer') {
      response.writeHead(fault.code, {
        'content-type': fault.type,
        ...(fault.retryAfter !== undefined && { 'retry-after': fault.retryAfter }),
      });
      response.end(fault.body);
      return;
    }
    if (fault?.kind === 'huge') {
      response.writeHead(200, { 'content-type': 'application/json' });
      const chunk = Buffer.alloc(1024 * 1024, 0x20);
      const more = (): void => {
        while (!response.destroyed && response.write(chunk));
        if (!response.destroyed) response.once('drain', more);
      };
      return more();
    }
    const reply = this.#refuseKey(call) ?? this.#answer(call);
    if (fault?.kind === 'cut-after') return void request.socket.destroy();
    const isText = typeof reply.body === 'string';
    response.writeHead(reply.code, {
      'content-type': isText ? 'text/plain' : 'application/json; charset=utf-8',
      ...reply.headers,
    });
    response.end(isText ? reply.body : reply.code === 204 ? '' : JSON.stringify(reply.body, null, 4));
  }

  #refuseKey(call: Call): Reply | null {
    const values = fromHeader(call.authorization);
    if (!values) return { code: 401, body: 'Forbidden' };
    if (this.nonces.has(values.nonce)) return { code: 401, body: `Nonce already used: ${values.nonce}` };
    this.nonces.add(values.nonce);
    if (values.signature === `&${tokenSecret}`) return null;
    return { code: 401, body: `Invalid signature. Expected signature base string: &${tokenSecret}` };
  }

  #answer(call: Call): Reply {
    const { method, path, op } = call;
    const part = path.split('/');
    if (path === 'users/') return ok({ username, email: '', is_superuser: true });
    if (path === 'boot-resources/') return ok(this.images);
    if (path === 'rackcontrollers/') return ok([{ system_id: 'rack01' }]);
    if (path.startsWith('rackcontrollers/'))
      return ok({ images: this.rackImages.map((name) => ({ name })), connected: true, status: 'synced' });
    if (path === 'events/')
      return ok({
        count: 1,
        events: [
          ...(call.query.get('level') === 'DEBUG' ? this.requests.toReversed() : []),
          { created: 'Fri', type: 'Node installation failure', description: 'curtin failed' },
        ],
      });
    if (path === 'tags/') {
      this.tags.add(call.form.get('name')!);
      return ok({ name: call.form.get('name') });
    }
    if (part[0] === 'tags') return this.#tag(call, part[1]!);
    if (path === 'machines/') {
      if (method === 'POST' && op === 'allocate') return this.#allocate(call);
      if (method === 'POST') return this.#create(call);
      if (op === 'power_parameters')
        return this.admin
          ? ok(Object.fromEntries(this.machines.map((one) => [one.system_id, one.power_parameters])))
          : { code: 403, body: 'This method is reserved for admin users.' };
      const macs = call.query.getAll('mac_address');
      if (this.mistaken) return ok([this.#shown(this.mistaken)]);
      return ok(
        this.machines
          .filter((one) => one.interface_set.some(({ mac_address: mac }) => macs.includes(mac)))
          .map((one) => this.#shown(one)),
      );
    }
    const machine = this.mistaken ?? this.machines.find(({ system_id: id }) => id === part[1]);
    if (!machine) return { code: 404, body: 'No Machine matches the given query.' };
    if (part[0] === 'nodes') return this.#interface(call, machine, part[3] ?? '');
    if (method === 'PUT') {
      machine.hostname = call.form.get('hostname')!;
      return ok(this.#shown(machine));
    }
    if (method === 'GET' && op === 'query_power_state') return ok({ state: machine.power_state });
    return method === 'GET' ? ok(this.#shown(machine)) : this.#act(call, machine);
  }

  #act({ op, form }: Call, machine: FakeMachine): Reply {
    const conflict = (text: string): Reply => ({ code: 409, body: text });
    const name = names[machine.status]!;
    const is = (...states: readonly number[]): boolean => states.includes(machine.status);
    switch (op) {
      case 'commission':
        if (!is(0, 2, 4, 8, 22))
          return {
            code: 400,
            body: { __all__: ['Commission is not available because of the current state of the node.'] },
          };
        machine.status = status.commissioning;
        break;
      case 'set_owner_data':
        if (machine.owner !== username)
          return conflict("Cannot set workload annotation: it hasn't been acquired.");
        for (const [key, value] of form) machine.owner_data[key] = value;
        break;
      case 'deploy': {
        if (!is(status.allocated)) return conflict(`Can't deploy a machine that is in the '${name}' state`);
        const [os, series] = form.get('distro_series')!.split('/');
        if (!['jammy', 'debian-12', 'win2022'].includes(series!))
          return {
            code: 400,
            body: {
              distro_series: [`'${series}' is not a valid distro_series.  It should be one of: 'jammy'.`],
            },
          };
        Object.assign(machine, { osystem: os, distro_series: series, user_data: form.get('user_data') });
        Object.assign(machine, {
          status: status.deploying,
          power_state: 'on',
          status_message: 'Deploying - booting',
        });
        break;
      }
      case 'release':
        if (is(status.ready, status.releasing)) break;
        if (!is(6, 8, 9, 10, 11, 13, 15))
          return conflict(`Machine cannot be released in its current state ('${name}').`);
        machine.release = Object.fromEntries(form);
        if (form.get('erase') === 'true') {
          this.#requested('User erasing disk', form.get('comment'));
          machine.status = status.diskErasing;
        } else this.released(machine);
        break;
      case 'abort':
        if (!is(1, 9, 14, 21)) return conflict(`Cannot abort in current state: node x is in state ${name}.`);
        if (is(14)) this.#requested('User aborting disk erase', form.get('comment'));
        machine.status = is(1) ? status.new : is(9) ? status.allocated : status.failedDiskErasing;
        break;
      default:
        return { code: 400, body: `Unrecognised signature: method=POST op=${op}` };
    }
    return ok(this.#shown(machine));
  }

  #requested(type: string, comment: string | null): void {
    this.requests.push({ created: 'Fri', type, description: `(csbm)${comment ? ` - ${comment}` : ''}` });
  }

  /** The end of a release. */
  released(machine: FakeMachine, end: number = status.ready): void {
    Object.assign(machine, {
      status: end,
      owner: null,
      owner_data: {},
      osystem: '',
      distro_series: '',
      power_state: 'off',
    });
  }

  #allocate({ form }: Call): Reply {
    const machine = this.machines.find(({ system_id: id }) => id === form.get('system_id'));
    if (machine?.status !== status.ready)
      return { code: 409, body: `No machine with system ID ${form.get('system_id')} available.` };
    Object.assign(machine, { status: status.allocated, owner: username });
    return ok({ ...this.#shown(machine), constraints_by_type: {} });
  }

  #create({ form }: Call): Reply {
    const macs = form.getAll('mac_addresses');
    const used = this.machines.some((one) =>
      one.interface_set.some(({ mac_address: mac }) => macs.includes(mac)),
    );
    if (used)
      return { code: 400, body: { mac_addresses: [`MAC address ${macs[0]} already in use on calm-cod.`] } };
    const power = Object.fromEntries(
      [...form].flatMap(([key, value]) =>
        key.startsWith('power_parameters_') ? [[key.slice(17), value]] : [],
      ),
    );
    const machine = this.add({
      macs,
      hostname: form.get('hostname')!,
      status: status.new,
      cpu_count: 0,
      memory: 0,
      physicalblockdevice_set: [],
      boot_disk: null,
      architecture: `${form.get('architecture')}/generic`,
      power_parameters: power,
    });
    return ok(this.#shown(machine));
  }

  #tag({ method, op, form }: Call, name: string): Reply {
    if (!this.tags.has(name)) return { code: 404, body: 'No Tag matches the given query.' };
    if (method === 'POST' && op === 'update_nodes')
      for (const machine of this.machines) {
        if (form.getAll('add').includes(machine.system_id)) machine.tag_names.push(name);
        if (form.getAll('remove').includes(machine.system_id))
          machine.tag_names = machine.tag_names.filter((one) => one !== name);
      }
    return ok({ name, added: 1, removed: 0 });
  }

  #interface({ method, op, form }: Call, machine: FakeMachine, id: string): Reply {
    if (![0, 4, 10, 8, 22].includes(machine.status))
      return {
        code: 409,
        body: 'Cannot change interface because the machine is not New, Ready, Allocated, or Broken.',
      };
    if (op === 'create_bond') {
      const parents = machine.interface_set.filter((one) => form.getAll('parents').includes(String(one.id)));
      if (new Set(parents.map(({ vlan }) => vlan?.id)).size > 1)
        return { code: 400, body: { parents: ['All parents must belong to the same VLAN.'] } };
      for (const parent of parents) parent.links = [];
      const bond: Interface = {
        ...this.#nic(form.get('name')!, form.get('mac_address') ?? parents[0]!.mac_address, false),
        type: 'bond',
        vlan: parents[0]!.vlan,
        parents: parents.map(({ name }) => name),
        links: [{ id: (this.#nextId += 1), mode: 'link_up' }],
        params: {
          bond_mode: form.get('bond_mode') ?? 'balance-rr',
          bond_miimon: Number(form.get('bond_miimon') ?? 100),
        },
      };
      machine.interface_set.push(bond);
      return ok(bond);
    }
    const one = machine.interface_set.find((other) => String(other.id) === id);
    if (!one) return { code: 404, body: 'No Interface matches the given query.' };
    if (method === 'DELETE') {
      machine.interface_set = machine.interface_set.filter((other) => other !== one);
      return { code: 204, body: null };
    }
    if (method === 'PUT') {
      if (form.has('vlan')) one.vlan = { id: Number(form.get('vlan')) };
      if (form.has('mac_address')) one.mac_address = form.get('mac_address')!;
      if (form.has('bond_mode')) one.params = { ...(one.params as object), bond_mode: form.get('bond_mode') };
    }
    if (op === 'unlink_subnet') {
      one.links = one.links.filter((link) => String(link.id) !== form.get('id'));
      if (one.links.length === 0) one.links = [{ id: (this.#nextId += 1), mode: 'link_up' }];
    }
    if (op === 'link_subnet') {
      const subnet = { id: Number(form.get('subnet')), vlan: { id: 5001 } };
      one.links = [{ id: (this.#nextId += 1), mode: form.get('mode')!.toLowerCase(), subnet }];
    }
    return ok(one);
  }

  #shown(machine: FakeMachine): Readonly<Record<string, unknown>> {
    const hidden = ['power_parameters', 'user_data', 'release'];
    return {
      ...Object.fromEntries(Object.entries(machine).filter(([key]) => !hidden.includes(key))),
      resource_uri: `/MAAS/api/2.0/machines/${machine.system_id}/`,
      status_name: names[machine.status],
      power_type: 'ipmi',
      boot_interface: machine.interface_set[0] ?? null,
    };
  }
}

function ok(body: unknown): Reply {
  return { code: 200, body };
}
