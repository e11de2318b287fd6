import type { Duration } from './clock.ts';
import type { DeviceContext } from './device-context.ts';
import type { Evidence } from './evidence.ts';
import type { Secret } from './secret.ts';

export type PowerState = 'on' | 'off';
export type BootDevice = 'pxe' | 'disk';

/** How to reach one BMC. */
export interface BmcTarget {
  readonly host: string;
  /** UDP port, 623 unless said otherwise. */
  readonly port: number;
  readonly username: string;
  readonly password: Secret;
  /** BMC key (K_g), when the BMC has one. */
  readonly kg?: Secret | undefined;
  /** Privilege asked for; `operator` suffices for power and boot device. */
  readonly privilege?: 'user' | 'operator' | 'administrator' | undefined;
  /** Weakest cipher suite that is acceptable: 17 or 3. */
  readonly minSuite: 3 | 17;
  /** The suite found earlier; falling from 17 to 3 later is refused (`power.suite`). */
  readonly knownSuite?: 3 | 17 | undefined;
}

export interface BmcIdentity {
  readonly manufacturer: number;
  readonly product: number;
  readonly firmware: string;
  /** Cipher suite in use. */
  readonly suite: 3 | 17;
}

export interface BootDeviceRequest {
  readonly device: BootDevice;
  readonly persistent: boolean;
  readonly firmware: 'legacy' | 'efi';
}

/** An entry of a BMC's System Event Log. */
export interface BmcEvent {
  readonly id: number;
  /** By the BMC's clock, epoch milliseconds; null = it has no time, or its clock was not set. */
  readonly at: number | null;
  /** `Temperature`, `Power Supply`, ... */
  readonly sensorType: string;
  readonly sensor: number | null;
  /** What happened, in words. */
  readonly what: string;
  /** False = it is over. */
  readonly asserted: boolean;
  /** The whole record, in hex. */
  readonly raw: string;
}

/** A sensor and what it says now. */
export interface BmcSensor {
  readonly number: number;
  readonly name: string;
  readonly type: string;
  /** null = it has none at the moment, or only states. */
  readonly value: number | null;
  readonly unit: string | null;
  /** Asserted states or crossed thresholds, in words. */
  readonly states: readonly string[];
}

/** A machine's serial console through its BMC. */
export interface BmcConsole {
  /** What the machine writes, until the console is over; ends in the error that broke it. */
  readonly output: AsyncIterable<Buffer>;
  /** Types to the machine; resolves when the BMC took it all. */
  write(bytes: Buffer): Promise<void>;
  /** Sends a serial break. */
  sendBreak(): Promise<void>;
  /** Leaves the console and closes its session. Idempotent. */
  close(): Promise<void>;
}

/** A power driver: one object per protocol, which hands out one {@link Bmc} per target and owns their sessions. */
export interface PowerDriver {
  /** `ipmi`, `redfish`, ... */
  readonly type: string;
  open(target: BmcTarget): Bmc;
  /** Closes every session; idempotent. */
  close(): Promise<void>;
  /** What `turn`, `soft` or `setBootDevice` would send, for a plan (law 8). No secrets. */
  planPower(target: BmcTarget, action: 'on' | 'off' | 'soft' | 'cycle'): string;
  planBootDevice(target: BmcTarget, request: BootDeviceRequest): string;
}

/**
 * One BMC. Calls are queued, one at a time, over one session that is reused and closed when idle.
 * Every method rejects with a `DeviceError` (codes `power.*`), or with the signal's reason when aborted.
 */
export interface Bmc {
  identity(signal?: AbortSignal): Promise<BmcIdentity>;
  state(signal?: AbortSignal): Promise<PowerState>;
  /**
   * Makes the power what is wanted and confirms it by reading, within `within`. Already so = nothing is sent.
   * @throws `power.unconfirmed` when the BMC said yes but the state never followed.
   */
  turn(wanted: PowerState, within: Duration, signal?: AbortSignal): Promise<Evidence>;
  /** Asks the OS to shut down by ACPI. Sent at most once, never retransmitted; acceptance says nothing about the outcome. */
  soft(signal?: AbortSignal): Promise<void>;
  /** Power cycle (of a machine that is on). Sent at most once, never retransmitted. */
  cycle(signal?: AbortSignal): Promise<void>;
  /** Sets the boot device and reads it back; `verified: false` when the BMC cannot show it. */
  setBootDevice(request: BootDeviceRequest, signal?: AbortSignal): Promise<Evidence>;
  /** What the BMC says it boots next, or null when it cannot tell. */
  bootDevice(signal?: AbortSignal): Promise<BootDeviceRequest | null>;
  /** The System Event Log, the oldest entry first. Absent where the protocol has none. */
  eventLog?(signal?: AbortSignal): Promise<readonly BmcEvent[]>;
  /** Erases the System Event Log. */
  clearEventLog?(signal?: AbortSignal): Promise<void>;
  /** All sensors, read one after the other. */
  sensors?(signal?: AbortSignal): Promise<readonly BmcSensor[]>;
  /** The serial console, over a session of its own; `takeOver` ends somebody else's. */
  console?(options: { readonly takeOver: boolean }, signal?: AbortSignal): Promise<BmcConsole>;
  /** Closes the session; the object opens a new one when used again. */
  close(): Promise<void>;
}

export type PowerDriverFactory = (context: DeviceContext, settings: unknown) => PowerDriver;
