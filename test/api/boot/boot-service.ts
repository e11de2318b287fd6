/**
 * The boot service in a process of its own, for tests that kill it: reads its settings from the environment (`BOOT_SERVICE`,
 * JSON), prints its port, and serves until it is killed.
 */
import { Secret } from '../../../plugin-api/index.ts';
import { SystemClock } from '../../../src/kernel/clock/system-clock.ts';
import { openStorage } from '../../../src/store/open-storage.ts';
import { startBootFloor } from './boot-floor.ts';

export interface BootServiceSettings {
  readonly file: string;
  /** Of the database; made for the test. */
  readonly key: string;
  readonly folder: string;
  readonly port: number;
}

const { file, key, folder, port } = JSON.parse(process.env['BOOT_SERVICE'] ?? '') as BootServiceSettings;
const storage = await openStorage({
  type: 'sqlite',
  file,
  key: { base64: new Secret(key) },
  clock: new SystemClock(),
});
const floor = await startBootFloor({ storage, folder, port });
process.stdout.write(`${floor.port}\n`);
