import { seconds } from '../../plugin-api/index.ts';
import { closedDoor } from '../api/maas/closed-door.ts';
import { maasDoor } from '../api/maas/maas-door.ts';
import type { Config } from '../config/config.ts';
import { RateLimit } from '../kernel/concurrency/rate-limit.ts';
import { close, listen } from '../kernel/net/web-server.ts';
import type { Devices } from './devices.ts';
import type { Door, Listeners } from './listeners.ts';
import type { Acting } from './operations.ts';
import type { Records } from './records.ts';

/** For MAAS's clients: people and programs that allocate machines for themselves. null = not enabled. */
export async function openMaasDoor(
  config: Config,
  { world, operations, restore }: Acting,
  { machines, allocations, pools, keys, users }: Records,
  { images, engines }: Devices,
  listeners: Listeners,
): Promise<Door | null> {
  const { maas } = config;
  if (!maas.enabled) return null;
  const { storage, clock, log, power } = world;
  const { limits } = listeners;
  const door = maasDoor(
    {
      storage,
      operations,
      machines,
      allocations,
      pools,
      keys,
      users,
      images,
      power,
      engines,
      clock,
      log,
      settings: maas,
    },
    {
      failures: limits.failures,
      requests: new RateLimit(clock, limits.requests),
      budgets: limits.budgets(),
      limits: { bodyTimeout: config.limits.bodyTimeout },
    },
  );
  const server = listeners.create(
    'maas',
    closedDoor(() => restore.refuse(), door),
    { keepAliveTimeout: seconds(65) },
  );
  return { url: await listen(server, maas.host, maas.port), close: () => close(server) };
}
