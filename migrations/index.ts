import { Initial } from './0001-initial.ts';

/** Every migration, in order: named one by one, because what is found by a file pattern depends on how the service was built. */
export const migrations = [Initial] as const;
