import { LabSwitch, type LabSwitchOptions } from '../../../lab/switch/index.ts';
import { SystemClock } from '../../../src/kernel/clock/system-clock.ts';
import { createForce10CliDriver } from '../../../src/drivers/switch/force10-cli/index.ts';
import {
  Secret,
  os9PortId,
  type DeviceContext,
  type PortId,
  type SwitchDriver,
  type SwitchIntent,
  type SwitchSession,
  type SwitchTarget,
} from '../../../plugin-api/index.ts';

export const te = (n: number): PortId => os9PortId(`Te 1/${n}`);
export const uplink = te(48);

/** Waits made short enough for tests; a test that is about a wait shortens it further. */
const quick = { settle: '40ms', closeTimeout: '500ms' };

/** A lab switch, the driver for it, and everything the driver logged. */
export interface LabFixture {
  readonly lab: LabSwitch;
  readonly driver: SwitchDriver;
  readonly target: SwitchTarget;
  readonly log: string[];
}

export async function labFixture(
  options: Partial<LabSwitchOptions> = {},
  settings: Readonly<Record<string, unknown>> = {},
): Promise<LabFixture> {
  const lab = await LabSwitch.start({
    name: 'tor-a',
    ports: ['Te 1/1-1/4'],
    uplinks: ['Te 1/48'],
    username: 'admin',
    password: 'login-secret',
    ...options,
  });
  const log: string[] = [];
  const context: DeviceContext = {
    clock: new SystemClock(),
    log: (level, message, fields) => log.push(JSON.stringify([level, message, fields])),
  };
  const target: SwitchTarget = {
    name: 'tor-a',
    type: 'Force10',
    host: lab.host,
    transport: 'ssh',
    port: lab.port,
    username: 'admin',
    password: new Secret('login-secret'),
    ...(options.enableSecret === undefined ? {} : { enablePassword: new Secret(options.enableSecret) }),
    legacyCrypto: options.crypto === 'legacy',
  };
  return { lab, driver: createForce10CliDriver(context, { ...quick, ...settings }), target, log };
}

/** Starts a lab switch, runs the body with it, and stops it whatever happened. */
export async function withLab(
  options: Partial<LabSwitchOptions>,
  settings: Readonly<Record<string, unknown>>,
  body: (fixture: LabFixture) => Promise<void>,
): Promise<void> {
  const fixture = await labFixture(options, settings);
  try {
    await body(fixture);
  } finally {
    await fixture.lab.stop();
  }
}

/** Opens a session, runs the work in it, and closes it whatever happened. */
export async function withSession<T>(
  { driver, target }: LabFixture,
  work: (session: SwitchSession) => Promise<T>,
): Promise<T> {
  const session = await driver.open(target);
  try {
    return await work(session);
  } finally {
    await session.close();
  }
}

/** An intent for a few ports, with the lab's uplink. */
export function intentOf(ports: SwitchIntent['ports'], more: Partial<SwitchIntent> = {}): SwitchIntent {
  return { ports, uplinks: [uplink], carried: [], retired: [], shutDuringMove: true, ...more };
}
