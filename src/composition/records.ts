import type { SecretSources } from '../../plugin-api/index.ts';
import type { Config } from '../config/config.ts';
import { switchTypes } from '../drivers/switch/registry.ts';
import type { FailureLimitOptions } from '../kernel/concurrency/failure-limit.ts';
import { Access } from '../operations/access.ts';
import { Allocations } from '../operations/allocations.ts';
import { ApiKeys } from '../operations/api-keys.ts';
import { ensureDefaultRecords } from '../operations/default-records.ts';
import { Machines } from '../operations/machines.ts';
import { ensureNetworks, networkOf } from '../operations/networks.ts';
import type { Operations } from '../operations/operations.ts';
import { Pools } from '../operations/pools.ts';
import { Profiles } from '../operations/profiles.ts';
import { Racks } from '../operations/racks.ts';
import { Users } from '../operations/users.ts';
import type { World } from '../operations/world.ts';

/** What is written down of the floor and of those who use it. */
export interface Records {
  readonly machines: Machines;
  readonly racks: Racks;
  readonly access: Access;
  readonly users: Users;
  readonly keys: ApiKeys;
  readonly pools: Pools;
  readonly profiles: Profiles;
  readonly allocations: Allocations;
  /** File with the first administrator's token, when this start made one. */
  readonly adminTokenFile: string | null;
}

/** Makes what a new database lacks. */
export async function createRecords(
  config: Config,
  world: World,
  operations: Operations,
  secrets: SecretSources,
  failures: FailureLimitOptions,
): Promise<Records> {
  const { storage, clock } = world;
  const { address } = config.provisioning.network;
  const addresses = address ? { cidr: networkOf(address) } : null;
  await storage.run(async (tx) => {
    await ensureNetworks(tx, addresses);
    await ensureDefaultRecords(tx);
  });
  const access = new Access(storage, clock, failures);
  const pools = new Pools(storage);
  return {
    machines: new Machines(world),
    racks: new Racks(storage, switchTypes, secrets, addresses),
    access,
    users: new Users(storage, clock, access, failures),
    keys: new ApiKeys(storage, clock),
    pools,
    profiles: new Profiles(storage),
    allocations: new Allocations(world, operations, pools),
    adminTokenFile: await access.ensureFirstAdmin(config.admin.token ?? null, config.admin.tokenFile),
  };
}
