import { setImmediate } from 'node:timers/promises';
import { parseScope } from '../../core/access/scope.ts';
import type { MachineId } from '../../core/machine/machine.ts';
import type { Tx } from '../../core/storage/storage.ts';
import type { MaasUser } from './handler.ts';
import type { JsonText } from './json-text.ts';
import type { MaasContext } from './maas-context.ts';
import { MaasRefusal, notFound } from './maas-refusal.ts';
import { seeMachines, type MachineSight } from './machine-sight.ts';
import type { MachineQuery } from './machine-query.ts';
import { machineJson, machineText } from './shapes/machine.ts';
import { eraseToldTo, statusOf, type MaasStatus } from './status.ts';
import { Surroundings } from './surroundings.ts';

/** A machine as one request sees it. */
export interface SeenMachine {
  readonly sight: MachineSight;
  readonly around: Surroundings;
  readonly status: MaasStatus;
}

/**
 * Machines of a list are read so many at a time: other requests get their turn in between. A power of two, since statements are
 * prepared for such numbers of values.
 */
const pageSize = 128;

/** Machines as MAAS's users see them. */
export class MachineDesk {
  readonly #context: Pick<MaasContext, 'storage' | 'settings'>;

  constructor(context: Pick<MaasContext, 'storage' | 'settings'>) {
    this.#context = context;
  }

  /**
   * One machine; one that the user may not see is not there.
   * @throws MaasRefusal 404
   */
  find(user: MaasUser, id: string): Promise<SeenMachine> {
    return this.#context.storage.run((tx) => this.findIn(tx, user, id));
  }

  /** The same in a unit of work of the caller's. */
  async findIn(tx: Tx, user: MaasUser, id: string): Promise<SeenMachine> {
    const machines = await tx.machines.shown([id as MachineId]);
    const around = await Surroundings.read(tx);
    const [sight] = await seeMachines(tx, machines, around.network);
    if (!sight || !mayView(user)(sight)) throw notFound('Machine');
    return { sight, around, status: this.status(user, sight) };
  }

  /** The same for a change: what CloudStack holds, or hands out, is for nobody here to change. */
  async findToChange(user: MaasUser, id: string): Promise<SeenMachine> {
    const seen = await this.find(user, id);
    refuseElsewhere(seen.sight);
    return seen;
  }

  /** The machine as it is now, for the answer to a change. */
  async answer(user: MaasUser, id: string): Promise<{ readonly json: unknown }> {
    const { sight, around } = await this.find(user, id);
    return { json: this.json(user, sight, around) };
  }

  json(user: MaasUser, sight: MachineSight, around: Surroundings): Readonly<Record<string, unknown>> {
    return machineJson(sight, around, eraseToldTo(user, this.#context.settings));
  }

  status(user: MaasUser, sight: MachineSight): MaasStatus {
    return statusOf(sight, eraseToldTo(user, this.#context.settings));
  }

  /** Every machine that the query finds, as JSON, read page by page. */
  async *list(user: MaasUser, query: MachineQuery, around: Surroundings): AsyncGenerator<JsonText> {
    const eraseTold = eraseToldTo(user, this.#context.settings);
    for await (const sights of this.pages(user, query, around))
      for (const sight of sights) yield machineText(sight, around, eraseTold);
  }

  /** Every machine that the query finds. */
  async *pages(
    user: MaasUser,
    query: MachineQuery,
    around: Surroundings,
  ): AsyncGenerator<readonly MachineSight[]> {
    const { storage } = this.#context;
    const view = mayView(user);
    const chosen = (sights: readonly MachineSight[]): readonly MachineSight[] =>
      sights.filter((sight) => view(sight) && query.fits(sight));
    const ids = await storage.run((tx) => this.#named(tx, query));
    let after: string | null = null;
    for (let from = 0; ; from += pageSize) {
      const last: string | null = after;
      const sights: readonly MachineSight[] = await storage.run(async (tx) => {
        const page =
          ids === null
            ? await tx.machines.page(last, pageSize, query.filter)
            : await tx.machines.shown(ids.slice(from, from + pageSize));
        return seeMachines(tx, page, around.network);
      });
      const found = chosen(sights);
      if (found.length > 0) yield found;
      const more = ids === null ? sights.length === pageSize : from + pageSize < ids.length;
      if (!more) return;
      after = sights.at(-1)?.machine.hostname ?? null;
      await setImmediate();
    }
  }

  /** Ids of what the query names one by one; null = it names none. */
  async #named(tx: Tx, { ids, hostnames, macs }: MachineQuery): Promise<readonly MachineId[] | null> {
    if (ids) return [...new Set(ids)];
    if (hostnames) {
      return tx.machines.idsOfHostnames(hostnames);
    }
    if (!macs) return null;
    const owners = await tx.machines.idsOfMacs(macs);
    if (owners.length >= macs.length) return owners;
    // The rest may be MACs that clients gave to bonds.
    const wanted = new Set<string>(macs);
    const given = (await tx.profiles.list()).filter(({ interfaces }) =>
      interfaces?.some(({ mac }) => wanted.has(mac.toLowerCase().replaceAll('-', ':'))),
    );
    return [...new Set([...owners, ...given.map(({ machineId }) => machineId)])];
  }
}

/** Whether the user may see a machine: administrators all of their scope, others what is free or theirs. */
export function mayView(user: MaasUser): (sight: MachineSight) => boolean {
  const { principal, isAdmin } = user;
  const scope = parseScope(principal.scope);
  return ({ machine, claim }) => {
    if (!scope.includes(machine)) return false;
    if (isAdmin) return true;
    if (machine.cloudPlace !== null) return false;
    return claim === null || (claim.holder === 'user' && claim.owner === principal.name);
  };
}

/** @throws MaasRefusal 409 for a machine that CloudStack holds or hands out */
export function refuseElsewhere({ machine, claim }: Pick<MachineSight, 'machine' | 'claim'>): void {
  if (machine.cloudPlace)
    throw new MaasRefusal(
      409,
      `${machine.hostname} stands in the CloudStack ${machine.cloudPlace.cloud}, which hands it out: change it there.`,
    );
  if (claim && claim.holder !== 'user')
    throw new MaasRefusal(409, `${claim.externalId} holds ${machine.hostname}: change it there.`);
}
