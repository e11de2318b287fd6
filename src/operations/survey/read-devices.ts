import {
  DeviceError,
  milliseconds,
  type Clock,
  type CodedError,
  type Duration,
  type ObservedSwitch,
  type PortId,
  type PowerState,
} from '../../../plugin-api/index.ts';
import type { Machine, MachineId } from '../../core/machine/machine.ts';
import type { PortPlace, Switch } from '../../core/rack/wiring.ts';
import { withDeadline } from '../../kernel/concurrency/deadline.ts';
import { orAborted } from '../../kernel/concurrency/or-aborted.ts';
import { Semaphore } from '../../kernel/concurrency/semaphore.ts';
import { asCodedError } from '../../kernel/errors/service-error.ts';
import { describeMachine } from './describe-machine.ts';
import type { StoredState } from './stored-state.ts';

/** What a BMC said; `busy` = a command had it all the time, so nothing can be said. */
export type BmcReading =
  { readonly power: PowerState } | { readonly busy: true } | { readonly error: CodedError };

export type SwitchReading = { readonly seen: ObservedSwitch } | { readonly error: CodedError };

export interface DeviceReadings {
  readonly bmcs: ReadonlyMap<MachineId, BmcReading>;
  readonly switches: ReadonlyMap<string, SwitchReading>;
}

/** How the devices are asked. Nothing is written to them. */
export interface DeviceReader {
  /** null = a command has the BMC just now. */
  power(machine: Machine, signal: AbortSignal): Promise<PowerState | null>;
  ports(switchName: string, ports: readonly PortId[]): Promise<ObservedSwitch>;
}

export interface ReadingLimits {
  /** BMCs asked at once. */
  readonly bmcs: number;
  /** Switches read at once. */
  readonly switches: number;
  /** A BMC that has not answered by then is told as such. */
  readonly bmcTimeout: Duration;
  readonly switchTimeout: Duration;
}

export interface ReadingProgress {
  readonly done: number;
  readonly of: number;
  /** What was read last, for people. */
  readonly last: string;
}

export interface ReadDevicesOptions {
  readonly stored: StoredState;
  readonly reader: DeviceReader;
  readonly limits: ReadingLimits;
  readonly clock: Clock;
  readonly onProgress?: ((progress: ReadingProgress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Between two attempts at a BMC that a command has. */
const busyPause = milliseconds(100);

/** Asks every BMC and reads every switch, so many at once, each within its own time. Rejects only when it is aborted. */
export async function readDevices(options: ReadDevicesOptions): Promise<DeviceReadings> {
  const { stored, limits } = options;
  const withBmc = stored.machines.filter((machine) => machine.bmc !== null);
  const of = withBmc.length + stored.switches.length;
  let done = 0;
  const counted = async <T>(last: string, work: Promise<T>): Promise<T> => {
    const result = await work;
    done += 1;
    options.onProgress?.({ done, of, last });
    return result;
  };
  const bmcs = new Semaphore(limits.bmcs);
  const switches = new Semaphore(limits.switches);
  const [machineEntries, switchEntries] = await Promise.all([
    Promise.all(
      withBmc.map(async (machine) => {
        const reading = bmcs.run(() => readBmc(machine, options));
        return [machine.id, await counted(`BMC of ${machine.hostname}`, reading)] as const;
      }),
    ),
    Promise.all(
      stored.switches.map(async (at) => {
        const reading = switches.run(() => readSwitch(at, options));
        return [at.name, await counted(`switch ${at.name}`, reading)] as const;
      }),
    ),
  ]);
  return { bmcs: new Map(machineEntries), switches: new Map(switchEntries) };
}

async function readBmc(machine: Machine, options: ReadDevicesOptions): Promise<BmcReading> {
  const { clock, limits, reader, signal } = options;
  const late = (): Error =>
    new DeviceError({
      code: 'power.unreachable',
      what: 'the BMC did not answer in time',
      where: describeMachine(machine),
    });
  const held = { now: false };
  try {
    return await withDeadline(
      clock,
      limits.bmcTimeout,
      late,
      async (both) => {
        for (;;) {
          const power = await orAborted(reader.power(machine, both), both);
          if (power !== null) return { power };
          held.now = true;
          await clock.sleep(busyPause, both);
          held.now = false;
        }
      },
      signal,
    );
  } catch (thrown) {
    if (signal?.aborted) throw signal.reason;
    return held.now ? { busy: true } : { error: asCodedError(thrown) };
  }
}

async function readSwitch(at: Switch, options: ReadDevicesOptions): Promise<SwitchReading> {
  const { clock, limits, reader, signal, stored } = options;
  const mine = (places: readonly PortPlace[]): readonly PortId[] =>
    places.filter((place) => place.switch === at.name).map(({ port }) => port);
  const ports = [...new Set([...mine(stored.ports), ...mine(stored.wires)])];
  const late = (): Error =>
    new DeviceError({ code: 'switch.timeout', what: 'the switch was not read in time', where: at.name });
  try {
    const seen = await withDeadline(
      clock,
      limits.switchTimeout,
      late,
      async (both) => {
        const first = await orAborted(reader.ports(at.name, ports), both);
        const others = strangersIn(first, at, ports);
        if (others.length === 0) return first;
        // Without them it is a reading all the same.
        return orAborted(reader.ports(at.name, [...ports, ...others]), both).catch(() => first);
      },
      signal,
    );
    return { seen };
  } catch (thrown) {
    if (signal?.aborted) throw signal.reason;
    return { error: asCodedError(thrown) };
  }
}

/** Members of VLANs of ours that are none of the ports asked for, and no uplinks. */
function strangersIn({ vlans }: ObservedSwitch, at: Switch, asked: readonly PortId[]): readonly PortId[] {
  const known = new Set<PortId>([...asked, ...at.uplinks]);
  const members = [...vlans.values()].flatMap((vlan) => (vlan.ours ? (vlan.members ?? []) : []));
  return [...new Set(members)].filter((port) => !known.has(port));
}
