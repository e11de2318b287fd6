import type { Clock, DeployEngine } from '../../../plugin-api/index.ts';
import type { Storage } from '../../core/storage/storage.ts';
import type { Log } from '../../kernel/log/log.ts';
import type { Allocations } from '../../operations/allocations.ts';
import type { ApiKeys } from '../../operations/api-keys.ts';
import type { Users } from '../../operations/users.ts';
import type { Machines } from '../../operations/machines.ts';
import type { Operations } from '../../operations/operations.ts';
import type { Pools } from '../../operations/pools.ts';
import type { ImageLibrary } from '../../operations/images/image-library.ts';
import type { PowerService } from '../../operations/power/power-service.ts';

/** What the handlers act through. */
export interface MaasContext {
  readonly storage: Storage;
  readonly operations: Operations;
  readonly machines: Machines;
  /** Machines held by users: allocate, release, what is said about them. */
  readonly allocations: Allocations;
  readonly pools: Pools;
  readonly keys: ApiKeys;
  readonly users: Users;
  readonly images: ImageLibrary;
  readonly power: PowerService;
  /** Deploy engines by type, for the images that each can install. */
  readonly engines: ReadonlyMap<string, DeployEngine>;
  readonly clock: Clock;
  readonly log: Log;
  readonly settings: MaasSettings;
}

export interface MaasSettings {
  /** What `version/` says: clients choose by it. */
  readonly reportedVersion: string;
  /** Who refuses what MAAS itself refuses, without our extensions and better defaults: for testing drivers. */
  readonly strict: 'canonical' | null;
  /** How an erase under way is told: MAAS's own status, or one that every client waits through. */
  readonly eraseShownAs: 'Disk erasing' | 'Releasing';
  /** Names of users who are told `Releasing` whatever the others are told. */
  readonly releasingFor: readonly string[];
}
