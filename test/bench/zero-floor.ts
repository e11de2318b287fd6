import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Stage, type StageOptions } from '../../lab/demo/stage.ts';
import type { LabFloorOptions } from '../../lab/floor/index.ts';
import { lifelike, faster, type MachineTiming } from '../../lab/machine/timing.ts';
import { milliseconds, minutes, seconds } from '../../plugin-api/index.ts';
import { MariadbServer, askMariadb } from '../support/mariadb-server.ts';
import { BenchSkipped } from './bench.ts';
import { startChild, type Child } from './child-process.ts';
import { InstantClock } from './instant-clock.ts';
import type { ServiceOrder } from './service-process.ts';

const instantly = milliseconds(0.001);
/** Machines that take no time of their own, and ask as often as others do once a system runs. */
const noTime: MachineTiming = {
  ...faster(lifelike, 1_000_000),
  // A thousand of them share a processor: they are as patient as real ones.
  httpSilence: minutes(2),
  dhcpRetry: seconds(30),
  retryPause: milliseconds(50),
  retryFor: minutes(10),
  progress: seconds(1),
  bytesPerSecond: null,
  lease: seconds(5),
  renew: minutes(10),
  power: instantly,
  // Long enough to be seen switched on: nothing reads the power of a machine that is through before the first look.
  firmware: milliseconds(10),
};

/** Of floors whose devices take no time but that of the processor. */
export const withoutTime: Partial<LabFloorOptions> = {
  clock: new InstantClock(),
  speed: 1_000,
  machine: { timing: noTime },
  bmc: { traits: { sessionTimeout: minutes(2) } },
  switch: { chunking: 'gathered' },
};

export type Database = 'sqlite' | 'mariadb';

/**
 * `DATABASES=sqlite` or `mariadb` leaves the other out.
 * @throws BenchSkipped where there is no MariaDB
 */
export function databases(): readonly Database[] {
  const wanted = (process.env['DATABASES'] ?? 'sqlite,mariadb').split(',') as Database[];
  const lacks = wanted.includes('mariadb') && !isInstalled('mariadb-install-db');
  if (lacks)
    throw new BenchSkipped('MariaDB is not here: apt-get install mariadb-server-core, or DATABASES=sqlite');
  return wanted;
}

/** Administrators' programs are not in every user's PATH. */
const isInstalled = (program: string): boolean =>
  [...(process.env['PATH'] ?? '').split(':'), '/usr/sbin', '/usr/bin'].some((folder) =>
    existsSync(join(folder, program)),
  );

export interface ZeroStage {
  readonly stage: Stage;
  readonly close: () => Promise<void>;
}

export interface ZeroFloor extends ZeroStage {
  readonly service: Child;
}

/**
 * A floor whose devices take no time but that of the processor, in this process, and the service in one of its own, with its default times
 * and a look into it.
 */
export async function zeroFloor(
  database: Database,
  options: Partial<StageOptions> & { readonly floor: Partial<LabFloorOptions> },
): Promise<ZeroFloor> {
  let service: Child | null = null;
  const { stage, close } = await zeroStage(database, {
    ...options,
    launch: async ({ configFile, logFile, env = {} }) => {
      const order: ServiceOrder = { configFile, logFile, env };
      const child = await startChild('./service-process.ts', order);
      service = child;
      const place = await child.ask<{ adminUrl: string; bootUrl: string; maasUrl: string | null }>('place');
      return {
        ...place,
        exited: new Promise(() => undefined),
        stop: async () => {
          await child.ask('stop').catch(() => undefined);
          await child.kill();
        },
      };
    },
  });
  return { stage, close, service: service! };
}

/** The same, and the service as an operator runs it, unless it is launched otherwise. */
export async function zeroStage(
  database: Database,
  options: Partial<StageOptions> & { readonly floor: Partial<LabFloorOptions> },
): Promise<ZeroStage> {
  const directory = mkdtempSync(join(tmpdir(), 'csbm-bench-'));
  const mariadb = database === 'mariadb' ? await MariadbServer.start() : null;
  let stage: Stage | null = null;
  const close = async (): Promise<void> => {
    await stage?.stop().catch(() => undefined);
    await mariadb?.stop();
    rmSync(directory, { recursive: true, force: true });
  };
  try {
    const databaseEnv = mariadb ? await mariadbEnv(mariadb) : {};
    stage = await Stage.start({
      speed: 1,
      imageBytes: 2 ** 16,
      ...options,
      directory,
      floor: { ...withoutTime, ...options.floor },
      env: { ...databaseEnv, CSBM_LOG_LEVEL: 'info', ...options.env },
    });
    await stage.serve();
    return { stage, close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function mariadbEnv({ socket }: MariadbServer): Promise<Record<string, string>> {
  await askMariadb(socket, 'CREATE DATABASE csbm');
  return {
    CSBM_STORE_TYPE: 'mariadb',
    CSBM_STORE_MARIADB_SOCKET: socket,
    CSBM_STORE_MARIADB_DATABASE: 'csbm',
    CSBM_STORE_MARIADB_USER: 'root',
  };
}
