import { milliseconds } from '../../plugin-api/index.ts';
import type { Config } from '../config/config.ts';
import { openStorage, type SqlStorage } from '../store/open-storage.ts';
import type { Base } from './base.ts';

/** The database, with the key of what is sealed in it. */
export function openDatabase({ config, clock, log }: Base, signal: AbortSignal): Promise<SqlStorage> {
  const { key, keyFile: file } = config.secrets;
  return openStorage({ ...databaseOf(config), key: key ? { base64: key } : { file }, clock, log, signal });
}

function databaseOf({ store: { type, file, mariadb }, timings }: Config) {
  if (type === 'sqlite') return { type, file } as const;
  const { socket, host, port, tls, ...settings } = mariadb;
  const place = socket === undefined ? { host, port, tls: tls.enabled ? tls : null } : { socket };
  // A process that froze holds up nobody any more by the time it is declared gone.
  // Not below what a busy machine may keep a living process waiting, however fast the floor runs.
  const idleTransaction = milliseconds(Math.max(5_000, (timings.leaseTtl / timings.scale) * 0.6));
  return { type, place, idleTransaction, ...settings } as const;
}
