import assert from 'node:assert/strict';
import { LabBmc, type LabBmcOptions } from '../../../lab/bmc/lab-bmc.ts';
import { StandaloneHost } from '../../../lab/bmc/standalone-host.ts';
import {
  DeviceError,
  milliseconds,
  Secret,
  type BmcTarget,
  type DeviceCode,
  type PowerDriver,
} from '../../../plugin-api/index.ts';
import { createIpmiDriver } from '../../../src/drivers/power/ipmi/ipmi-driver.ts';
import { SystemClock } from '../../../src/kernel/clock/system-clock.ts';

/** The driver's waits, shortened as far as a busy test machine allows. */
export const fastSettings = {
  answerTimeouts: [200, 200, 300],
  onceTimeout: 300,
  closeTimeout: 200,
  busyPause: 5,
  slotPause: 10,
  pollEvery: 5,
  repeatAfter: 60,
};

export const clock = new SystemClock();

export function newDriver(settings: object = {}): PowerDriver {
  return createIpmiDriver({ clock, log: () => undefined }, { ...fastSettings, ...settings });
}

export function targetAt(port: number, changes: Partial<BmcTarget> = {}): BmcTarget {
  return {
    host: '127.0.0.1',
    port,
    username: 'admin',
    password: new Secret('password'),
    minSuite: 3,
    ...changes,
  };
}

export interface Floor {
  readonly bmc: LabBmc;
  readonly host: StandaloneHost;
  readonly driver: PowerDriver;
  readonly port: number;
  readonly target: (changes?: Partial<BmcTarget>) => BmcTarget;
}

/** One simulated BMC with a host behind, and a driver; both are closed whatever happens. */
export async function onFloor(
  options: Omit<LabBmcOptions, 'host'> & { readonly settings?: object; readonly power?: 'on' | 'off' },
  test: (floor: Floor) => Promise<void>,
): Promise<void> {
  const host = new StandaloneHost({
    clock,
    power: options.power ?? 'off',
    switchTime: milliseconds(10),
    cycleTime: milliseconds(20),
    shutdownTime: milliseconds(10),
  });
  const bmc = new LabBmc({ ...options, host });
  const driver = newDriver(options.settings);
  try {
    const { port } = await bmc.listen();
    await test({ bmc, host, driver, port, target: (changes) => targetAt(port, changes) });
  } finally {
    await driver.close();
    await bmc.close();
  }
}

/** The `DeviceError` with this code that a call must end in. */
export async function failure(code: DeviceCode, call: Promise<unknown>): Promise<DeviceError> {
  const outcome = await call.then(
    (value) => assert.fail(`expected ${code}, but it gave ${JSON.stringify(value)}`),
    (error: unknown) => error,
  );
  assert.ok(outcome instanceof DeviceError, String(outcome));
  assert.equal(outcome.code, code, outcome.message);
  return outcome;
}

/** Waits for a condition; mocha's time limit ends it. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 2));
}
