import type { MariadbOptions } from '../open-mariadb.ts';

/** The section `store` of the configuration, as far as it says where the database is. */
export interface StoreSettings {
  readonly type: 'sqlite' | 'mariadb';
  readonly file: string;
  readonly mariadb: Omit<MariadbOptions, 'type' | 'place' | 'key' | 'log' | 'idleTransaction'> & {
    readonly socket?: string | undefined;
    readonly host: string;
    readonly port: number;
    readonly tls: { readonly enabled: boolean } & Partial<
      Record<'caFile' | 'certFile' | 'keyFile', string | undefined>
    >;
  };
}

/** Where the configured database is, as the openers want it. */
export function databaseOf({ type, file, mariadb }: StoreSettings) {
  if (type === 'sqlite') return { type, file } as const;
  const { socket, host, port, tls, ...settings } = mariadb;
  const place = socket === undefined ? { host, port, tls: tls.enabled ? tls : null } : { socket };
  return { type, place, ...settings } as const;
}
