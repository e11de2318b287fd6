import { setTimeout as delay } from 'node:timers/promises';
import type { FloorMachine } from '../../lab/floor/index.ts';
import {
  MaasClient,
  type MaasClientAnswer,
  type MaasFields,
  type MaasInterface,
  type MaasMachine,
} from '../support/maas-client.ts';
import type { ChaosStage } from './chaos-stage.ts';
import { userDataWith, type Surroundings } from './cloud-user.ts';
import type { UserAsk } from './run-plan.ts';

/** How long a user asks again where nobody answers, and waits for a machine to come to something; milliseconds. */
const patience = 90_000;
const lookEvery = 50;

/** Statuses in which nothing goes on. */
const resting: ReadonlySet<string> = new Set([
  'Ready',
  'Allocated',
  'Deployed',
  'Failed deployment',
  'Releasing failed',
  'Failed disk erasing',
  'Broken',
]);

/** VLANs of each user, which CloudStack has not: untagged, and on the bond. */
const networks: Readonly<Record<string, readonly [number, number]>> = {
  alice: [400, 401],
  bob: [410, 411],
};

/** What became of one request of a user, for the tables. */
export interface UserCall {
  readonly ask: string;
  readonly outcome: 'ok' | 'refused' | 'lost';
}

/** A person or program with an API key: takes a machine, says what its network shall be, deploys, and gives it back. */
export class MaasUser {
  readonly calls: UserCall[] = [];
  /** The machine that it was given, until it gives it back; null = none. */
  held: FloorMachine | null = null;
  /** It has asked for its release: from some moment on somebody else may have it. */
  giving = false;
  #id = '';
  readonly #stage: ChaosStage;
  readonly #key: string;
  readonly #name: string;
  readonly #native: number;
  readonly #tagged: number;
  readonly #further: boolean;
  readonly #userData: string;
  readonly #around: Surroundings & { readonly others: () => readonly MaasUser[] };

  constructor(
    stage: ChaosStage,
    {
      name,
      further,
      secret,
    }: {
      readonly name: string;
      readonly further: boolean;
      readonly secret: string;
    },
    around: Surroundings & { readonly others: () => readonly MaasUser[] },
  ) {
    this.#stage = stage;
    this.#name = name;
    this.#key = stage.userKeys.get(name)!;
    [this.#native, this.#tagged] = networks[name]!;
    this.#further = further;
    this.#userData = userDataWith(secret);
    this.#around = around;
  }

  get name(): string {
    return this.#name;
  }

  /** Does one thing, as far as it makes sense; true = it came to what it should. */
  async ask(ask: UserAsk): Promise<boolean> {
    switch (ask) {
      case 'allocate':
        return this.held !== null || this.#allocate();
      case 'deploy':
        return this.held !== null && (await this.#draw()) && this.#deploy();
      case 'power':
        return this.held !== null && this.#power();
      case 'release':
        return this.held === null || this.#release();
      case 'poach':
        return this.#poach();
    }
  }

  async #allocate(): Promise<boolean> {
    const answer = await this.#call('allocate', (maas) => maas.post('machines/?op=allocate', {}));
    // Whose answer was lost may hold a machine all the same.
    const mine = answer?.status === 200 ? answer.json : await this.#mine();
    if (!mine) return false;
    const { floor } = this.#stage;
    const found = floor.machines.find(({ machine }) => machine.name === mine.hostname);
    if (!found || this.#stage.machines.includes(mine.hostname)) {
      this.#around.complain(`${this.#name} was given ${mine.hostname}, which CloudStack hands out`);
      return false;
    }
    for (const other of this.#around.others())
      if (other !== this && other.held === found && !other.giving)
        this.#around.complain(`${this.#name} was given ${mine.hostname}, which ${other.name} holds`);
    this.held = found;
    this.giving = false;
    this.#id = mine.system_id;
    return true;
  }

  async #mine(): Promise<MaasMachine | null> {
    const answer = await this.#call('read', (maas) => maas.get('machines/'));
    const all = (answer?.json ?? []) as unknown as readonly MaasMachine[];
    return all.find(({ owner }) => owner === this.#name) ?? null;
  }

  /** A bond over both NICs in the tenant's VLAN, and perhaps a VLAN on it; what is there already stays. */
  async #draw(): Promise<boolean> {
    const nodes = `nodes/${this.#id}/interfaces/`;
    const { machine } = this.held!;
    const { vlan, subnet } = this.#stage.networks.get(this.#native)!;
    const tagged = this.#stage.networks.get(this.#tagged)!;
    const mac = machine.nics[0]!.mac;
    this.#stage.floor.router.reserve(this.#native, mac);
    if (this.#further) this.#stage.floor.router.reserve(this.#tagged, mac);
    const post = (route: string, fields: MaasFields): Promise<MaasClientAnswer | null> =>
      this.#call('draw', (maas) => maas.post(`${nodes}${route}`, fields));
    const linked = async (name: string, to: number): Promise<boolean> => {
      const one = (await this.#interfaces()).find((other) => other.name === name);
      if (!one) return false;
      if (one.links.some((link) => link.subnet?.id === to)) return true;
      await post(`${one.id}/?op=link_subnet`, { mode: 'DHCP', subnet: to, force: 'True' });
      return (await this.#interfaces()).some(
        (other) => other.name === name && other.links.some((link) => link.subnet?.id === to),
      );
    };
    const now = await this.#interfaces();
    if (!now.some(({ type }) => type === 'bond'))
      await post('?op=create_bond', {
        name: 'bond0',
        parents: now.filter(({ type }) => type === 'physical').map(({ id }) => id),
        vlan,
      });
    if (!(await linked('bond0', subnet))) return false;
    if (!this.#further) return true;
    const name = `bond0.${this.#tagged}`;
    const bond = (await this.#interfaces()).find((one) => one.name === 'bond0');
    if (bond && !(await this.#interfaces()).some((one) => one.name === name))
      await post('?op=create_vlan', { parent: bond.id, vlan: tagged.vlan });
    return linked(name, tagged.subnet);
  }

  async #interfaces(): Promise<readonly MaasInterface[]> {
    const answer = await this.#call('read', (maas) => maas.get(`machines/${this.#id}/`));
    return answer?.status === 200 ? answer.json.interface_set : [];
  }

  async #deploy(): Promise<boolean> {
    const answer = await this.#call('deploy', (maas) =>
      maas.post(`machines/${this.#id}/?op=deploy`, {
        distro_series: 'lab-linux',
        user_data: this.#userData,
      }),
    );
    if (answer?.status !== 200 && answer !== null && answer.status !== 409) return false;
    const came = await this.#comesTo(({ status_name: status }) => resting.has(status));
    if (came?.status_name !== 'Deployed' || came.owner !== this.#name) return false;
    this.#judgeNetwork();
    return true;
  }

  /** The deployed network is what the interfaces say, on every port, as the switches have it. */
  #judgeNetwork(): void {
    if (!this.#around.settled()) return;
    const { machine } = this.held!;
    const wanted = JSON.stringify({
      native: this.#native,
      tagged: this.#further ? [this.#tagged] : [],
      up: true,
    });
    for (const { label, place } of machine.nics) {
      const port = this.#stage.floor.fabric.membership(place);
      const found = JSON.stringify({ native: port?.native, tagged: port?.tagged, up: port?.up });
      if (found !== wanted)
        this.#around.complain(
          `${machine.name} is deployed for ${this.#name}, and the port of ${label} is ${found}, not ${wanted}`,
        );
    }
  }

  async #power(): Promise<boolean> {
    const answer = await this.#call('power', (maas) => maas.post(`machines/${this.#id}/?op=power_cycle`));
    return answer?.status === 200;
  }

  async #release(): Promise<boolean> {
    const held = this.held!;
    this.giving = true;
    const answer = await this.#call('release', (maas) => maas.post(`machines/${this.#id}/?op=release`, {}));
    const gone = ({ owner }: MaasMachine): boolean => owner !== this.#name;
    if (answer?.status !== 200 && (await this.#mine())) return false;
    const last = await this.#comesTo(
      (machine) => gone(machine) || / failed|^Failed|Broken/.test(machine.status_name),
    );
    if (!last || !gone(last)) return false;
    this.held = null;
    this.#stage.floor.router.release(held.machine.nics[0]!.mac);
    return true;
  }

  /** Its machine runs with an address in each of its networks. */
  running(): boolean {
    const { floor } = this.#stage;
    const row = floor.table().find(({ machine }) => machine === this.held?.machine.name);
    const vlans = this.#further ? [this.#native, this.#tagged] : [this.#native];
    return vlans.every((vlan) => row?.leases.some((lease) => lease.vlan === vlan));
  }

  /** Acts on a machine of CloudStack's, by its id: nothing may come of it. */
  async #poach(): Promise<boolean> {
    for (const name of this.#stage.machines) {
      const id = this.#stage.idOf(name);
      for (const op of ['deploy', 'release', 'power_off', 'allocate']) {
        const answer = await this.#call('poach', (maas) =>
          op === 'allocate'
            ? maas.post('machines/?op=allocate', { system_id: id })
            : maas.post(`machines/${id}/?op=${op}`, {}),
        );
        if (answer?.status === 200)
          this.#around.complain(`${this.#name} was let ${op} ${name}, which CloudStack hands out`);
      }
    }
    return true;
  }

  /** The machine as it comes to be; null = it did not in time. */
  async #comesTo(there: (machine: MaasMachine) => boolean): Promise<MaasMachine | null> {
    const end = performance.now() + patience;
    let last = '';
    while (performance.now() < end) {
      const answer = await this.#call('read', (maas) => maas.get(`machines/${this.#id}/`));
      if (answer?.status === 200) {
        const { status_name: status, owner } = answer.json;
        if (status !== last)
          this.#stage.timeline.tell('maas', `${this.#name}: ${this.#id} is ${status}, of ${owner}`);
        last = status;
        if (there(answer.json)) return answer.json;
      }
      await delay(lookEvery);
    }
    return null;
  }

  /** Asks, and asks again where the connection broke or the service says that it cannot at the moment; null = to no avail. */
  async #call(
    ask: string,
    request: (maas: MaasClient) => Promise<MaasClientAnswer>,
  ): Promise<MaasClientAnswer | null> {
    const end = performance.now() + patience;
    for (let lost = false; ; lost = true) {
      try {
        const answer = await request(new MaasClient(this.#stage.stage.maasRoot, this.#key));
        const tryAgain = answer.status >= 500 && performance.now() < end;
        if (!tryAgain) {
          const outcome = answer.status < 400 ? 'ok' : 'refused';
          if (ask !== 'read') {
            this.calls.push({ ask, outcome });
            this.#stage.timeline.tell(
              'maas',
              `${this.#name}: ${ask}${lost ? ', once more' : ''}: ${answer.status}${outcome === 'ok' ? '' : ` ${answer.text.slice(0, 200)}`}`,
            );
          }
          return answer;
        }
      } catch (error) {
        // `fetch` wraps what happens to the connection.
        if (!(error instanceof TypeError)) throw error;
        if (ask !== 'read' && !lost) {
          this.calls.push({ ask, outcome: 'lost' });
          this.#stage.timeline.tell(
            'maas',
            `${this.#name}: ${ask}: ${error.message}: ${error.cause instanceof Error ? error.cause.message : ''}`,
          );
        }
        if (performance.now() > end) return null;
      }
      await delay(lookEvery);
    }
  }
}
