import { seconds, type Clock } from '../../plugin-api/index.ts';
import type { Storage } from '../../src/core/storage/storage.ts';
import type { Log } from '../../src/kernel/log/log.ts';
import { Instances } from '../../src/operations/instances/instances.ts';

/** The only instance there can be: everything is its own. */
export function soleInstance(storage: Storage, clock: Clock, log: Log): Instances {
  const timings = { leaseTtl: seconds(15), leaseHeartbeat: seconds(3), instanceLook: seconds(1) };
  return new Instances({
    storage,
    clock,
    timings,
    log,
    id: 'test',
    name: 'test',
    version: '1',
    shared: false,
  });
}
