import type { Asker, Principal } from '../core/access/principal.ts';
import { authorise } from '../core/access/rights.ts';
import { parseScope, wholeScope } from '../core/access/scope.ts';
import type { Machine } from '../core/machine/machine.ts';
import { defaultPoolRules, type ClaimDoor, type Pool } from '../core/machine/pool.ts';
import type { Storage, Tx } from '../core/storage/storage.ts';
import { ServiceError } from '../kernel/errors/service-error.ts';

/** The pool of machines that were put into no other. */
const defaultPool = 'default';

/** What can be said about a pool. */
export type PoolRules = Pick<Pool, 'description' | 'doors' | 'trusted'>;

/** Some of it; what is not named stays. */
export type PoolChange = { readonly [K in keyof PoolRules]?: PoolRules[K] | undefined };

/** A pool as it is listed: also one that nobody has described, which has no number. */
export type ListedPool = PoolRules &
  Pick<Pool, 'name'> & { readonly id: number | null; readonly machines: number };

/** Pools: by which rules their machines are handed out. */
export class Pools {
  readonly #storage: Storage;

  constructor(storage: Storage) {
    this.#storage = storage;
  }

  /** Those that were described, in order of number. */
  list(): Promise<readonly Pool[]> {
    return this.#storage.run((tx) => tx.pools.list());
  }

  /** Every pool that was described or has a machine, in order of name; of a limited scope only those with a machine in it. */
  listed(reader: Pick<Principal, 'scope'> = { scope: wholeScope }): Promise<readonly ListedPool[]> {
    const scope = parseScope(reader.scope);
    return this.#storage.run(async (tx) => {
      const counts = new Map<string, number>();
      for (const place of await tx.machines.places())
        if (scope.includes(place)) counts.set(place.pool, (counts.get(place.pool) ?? 0) + 1);
      const described = new Map((await tx.pools.list()).map((pool) => [pool.name, pool]));
      const names = scope.whole ? [...counts.keys(), ...described.keys()] : [...counts.keys()];
      return [...new Set(names)].sort().map((name) => {
        const { id, description, doors, trusted } = described.get(name) ?? { id: null, ...defaultPoolRules };
        return { id, name, description, doors, trusted, machines: counts.get(name) ?? 0 };
      });
    });
  }

  /** @throws ServiceError `request.not-found` */
  async shown(name: string, reader: Pick<Principal, 'scope'>): Promise<ListedPool> {
    const found = (await this.listed(reader)).find((pool) => pool.name === name);
    if (found) return found;
    throw new ServiceError({ code: 'request.not-found', what: `there is no pool "${name}"` });
  }

  find(name: string): Promise<Pool | null> {
    return this.#storage.run((tx) => tx.pools.find(name));
  }

  /** The rules of a pool, also of one that nobody has described. */
  rules(tx: Tx, name: string): Promise<PoolRules> {
    return poolRules(tx, name);
  }

  /** @throws ServiceError `pool.door` when the machine is not handed out through the door */
  refuseDoor(
    tx: Tx,
    machine: Pick<Machine, 'hostname' | 'pool' | 'cloudPlace'>,
    door: ClaimDoor,
  ): Promise<void> {
    return refuseDoor(tx, machine, door);
  }

  /** @throws ServiceError `pool.exists`, `request.invalid`, `access.scope`, `request.forbidden` */
  create(name: string, rules: PoolChange, by: Asker): Promise<Pool> {
    authorise(by, 'pool.write');
    refuseName(name);
    return this.#storage.run(async (tx) => {
      await refuseTaken(tx, name);
      return tx.pools.insert({ ...defaultPoolRules, name, ...checked(rules) });
    });
  }

  /**
   * Changes what is said about a pool, and its name, with which its machines go. A pool that has machines but was never
   * described is described by it.
   * @throws ServiceError `request.not-found`, `pool.exists`, `request.invalid`, `access.scope`, `request.forbidden`
   */
  update(
    name: string,
    change: PoolChange & { readonly name?: string | undefined },
    by: Asker,
  ): Promise<Pool> {
    authorise(by, 'pool.write');
    const { name: renamed = name, ...rules } = change;
    if (renamed !== name) refuseName(renamed);
    return this.#storage.run(async (tx) => {
      const known = await tx.pools.find(name);
      const inside = (await tx.machines.places()).filter(({ pool }) => pool === name);
      if (!known && inside.length === 0 && name !== defaultPool)
        throw new ServiceError({ code: 'request.not-found', what: `there is no pool "${name}"` });
      if (renamed !== name) await refuseTaken(tx, renamed);
      // Machines of a pool that nobody has described would get rules that were made for others.
      if (renamed !== name && (await tx.machines.places()).some(({ pool }) => pool === renamed))
        throw poolExists(renamed);
      const pool = known ?? (await tx.pools.insert({ ...defaultPoolRules, name }));
      const stored = await tx.pools.update({ ...pool, ...checked(rules), name: renamed });
      if (renamed !== name)
        for (const { id } of inside) {
          const machine = await tx.machines.find(id);
          if (machine) await tx.machines.update({ ...machine, pool: renamed });
        }
      return stored;
    });
  }

  /** @throws ServiceError `request.not-found`, `pool.in-use`, `access.scope`, `request.forbidden` */
  delete(name: string, by: Asker): Promise<void> {
    authorise(by, 'pool.write');
    return this.#storage.run(async (tx) => {
      if (!(await tx.pools.find(name)))
        throw new ServiceError({ code: 'request.not-found', what: `there is no pool "${name}"` });
      const inside = (await tx.machines.places()).filter(({ pool }) => pool === name);
      // Its machines would fall back to the rules of a pool that nobody has described: open to every door.
      if (inside.length > 0)
        throw new ServiceError({
          code: 'pool.in-use',
          what: `${inside.length === 1 ? '1 machine is' : `${inside.length} machines are`} in the pool ${name}`,
        });
      await tx.pools.delete(name);
    });
  }
}

/** The rules of a pool, also of one that nobody has described. */
export async function poolRules(tx: Tx, name: string): Promise<PoolRules> {
  return (await tx.pools.find(name)) ?? defaultPoolRules;
}

/**
 * Refuses to hand the machine out through the door: its pool has another, or it stands in a CloudStack, which would place
 * instances on it.
 * @throws ServiceError `pool.door`
 */
export async function refuseDoor(
  tx: Tx,
  machine: Pick<Machine, 'hostname' | 'pool' | 'cloudPlace'>,
  door: ClaimDoor,
): Promise<void> {
  if (door === 'maas' && machine.cloudPlace)
    throw new ServiceError({
      code: 'pool.door',
      what: `the machine stands in the CloudStack ${machine.cloudPlace.cloud}, which hands it out`,
      where: machine.hostname,
      remedy: 'take another machine',
    });
  const { doors } = await poolRules(tx, machine.pool);
  if (doors.includes(door)) return;
  throw new ServiceError({
    code: 'pool.door',
    what: `the pool ${machine.pool} hands machines out through ${doors.join(' and ') || 'no door'}, not through ${door}`,
    where: machine.hostname,
  });
}

async function refuseTaken(tx: Tx, name: string): Promise<void> {
  if (await tx.pools.find(name)) throw poolExists(name);
}

function poolExists(name: string): ServiceError {
  return new ServiceError({ code: 'pool.exists', what: `there is a pool "${name}" already` });
}

function refuseName(name: string): void {
  if (!/^[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}$/.test(name))
    throw new ServiceError({
      code: 'request.invalid',
      what: `"${name.slice(0, 140)}" cannot be the name of a pool`,
      remedy:
        'begin with a letter or digit; then letters, digits, spaces and . _ -, 64 characters in all at most',
    });
}

/** Without what was not said. */
function checked({ description, doors, trusted }: PoolChange): Partial<PoolRules> {
  return {
    ...(description !== undefined && { description }),
    ...(doors !== undefined && { doors: [...new Set(doors)] }),
    ...(trusted !== undefined && { trusted }),
  };
}
