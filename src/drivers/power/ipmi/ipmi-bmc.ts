import { withDeadline } from '../../../kernel/concurrency/deadline.ts';
import { formatDuration } from '../../../kernel/clock/duration.ts';
import {
  DeviceError,
  milliseconds,
  type Bmc,
  type BmcConsole,
  type BmcEvent,
  type BmcIdentity,
  type BmcSensor,
  type BmcTarget,
  type BootDeviceRequest,
  type DeviceContext,
  type Duration,
  type Evidence,
  type PowerState,
} from '../../../../plugin-api/index.ts';
import { encodeBootFlags, decodeBootFlags } from '../../../wire/rmcp/command/boot-flags.ts';
import {
  bootParameter,
  getBootOptions,
  keepFlagsOverTimeout,
  setBootOptions,
} from '../../../wire/rmcp/command/boot-options.ts';
import {
  atMostOnceActions,
  chassisControl,
  type ChassisAction,
} from '../../../wire/rmcp/command/chassis-control.ts';
import { getChassisStatus } from '../../../wire/rmcp/command/get-chassis-status.ts';
import { getDeviceId, type DeviceId } from '../../../wire/rmcp/command/get-device-id.ts';
import { completionCode, describeCompletion } from '../../../wire/rmcp/completion-code.ts';
import { inTurn, type BmcLine } from './bmc-line.ts';
import { clearEventLog, readEventLog } from './event-log.ts';
import { openConsole } from './open-console.ts';
import { quirksOf, type Quirk } from './quirks.ts';
import { readSensors } from './sensors.ts';
import { bootFlagsFor, describeRequest, requestOf } from './boot-device-map.ts';
import type { IpmiConnection } from './ipmi-connection.ts';
import { place } from './ipmi-errors.ts';
import type { IpmiSettings } from './ipmi-settings.ts';

/** Failures of a reading that may pass while a power change is awaited: BMCs restart, and networks lose. */
const passing: ReadonlySet<string> = new Set(['power.unreachable', 'power.busy', 'power.protocol']);
const notInThisState: ReadonlySet<number> = new Set([completionCode.notInThisState]);

export interface IpmiBmcParts {
  readonly target: BmcTarget;
  readonly line: BmcLine;
  readonly connection: IpmiConnection;
  readonly settings: IpmiSettings;
  readonly context: DeviceContext;
  readonly driverClosing: AbortSignal;
  /** Makes a connection beside the usual one. */
  readonly another: () => IpmiConnection;
}

/** One BMC by IPMI 2.0. */
export class IpmiBmc implements Bmc {
  readonly #parts: IpmiBmcParts;
  #deviceId: DeviceId | null = null;

  constructor(parts: IpmiBmcParts) {
    this.#parts = parts;
  }

  identity(signal?: AbortSignal): Promise<BmcIdentity> {
    return this.#parts.connection.guarded(signal, async (inner) => {
      const id = await this.#readDeviceId(inner);
      return {
        manufacturer: id.manufacturer,
        product: id.product,
        firmware: `${id.firmwareMajor}.${String(id.firmwareMinor).padStart(2, '0')}`,
        suite: this.#parts.connection.suite!,
      };
    });
  }

  state(signal?: AbortSignal): Promise<PowerState> {
    return this.#parts.connection.guarded(signal, (inner) => this.#readState(inner));
  }

  turn(wanted: PowerState, within: Duration, signal?: AbortSignal): Promise<Evidence> {
    return this.#action(signal, (inner) => {
      const { clock } = this.#parts.context;
      const progress: TurnProgress = { wanted, sent: 0, said: '', lastFailure: null };
      const late = (): Error => this.#notConfirmed(progress, within);
      return withDeadline(clock, within, late, (limited) => this.#turn(progress, limited), inner);
    });
  }

  soft(signal?: AbortSignal): Promise<void> {
    return this.#action(signal, async (inner) => {
      // This reading also proves the session alive, so that the one command below is not lost on a dead one.
      if ((await this.#readState(inner)) === 'off') return;
      await this.#control('soft', inner);
    });
  }

  cycle(signal?: AbortSignal): Promise<void> {
    return this.#action(signal, async (inner) => {
      if ((await this.#readState(inner)) === 'off')
        throw new DeviceError({
          code: 'power.refused',
          what: 'a machine that is off cannot be power cycled',
          where: place(this.#parts.target),
          remedy: 'switch it on instead',
        });
      const completion = await this.#control('cycle', inner);
      if (completion !== completionCode.ok)
        throw new DeviceError({
          code: 'power.refused',
          what: 'the power cycle was refused',
          where: place(this.#parts.target),
          said: describeCompletion(completion),
        });
    });
  }

  setBootDevice(request: BootDeviceRequest, signal?: AbortSignal): Promise<Evidence> {
    return this.#action(signal, async (inner) => {
      const { connection, target } = this.#parts;
      // The maker's own numbers are known for UEFI only.
      if (request.firmware === 'efi' && this.#deviceId === null) await this.#readDeviceId(inner);
      const flags = bootFlagsFor(request, this.#quirks);
      // Without it many BMCs forget the flags after 60 seconds; others do not know the parameter, and need not.
      const keep = { parameter: bootParameter.validBitClearing, data: Buffer.from([keepFlagsOverTimeout]) };
      const kept = await connection.exchange(setBootOptions, keep, { level: 3, tolerate: 'all' }, inner);
      const set = { parameter: bootParameter.bootFlags, data: encodeBootFlags(flags) };
      await connection.run(setBootOptions, set, { level: 3 }, inner);

      const shown = await this.#readBootDevice(inner);
      const verified =
        shown !== null &&
        shown.device === request.device &&
        shown.persistent === request.persistent &&
        shown.firmware === request.firmware;
      const wanted = `${place(target)}: boot device ${describeRequest(request)}`;
      const reading = shown === null ? 'the BMC shows none' : `the BMC shows ${describeRequest(shown)}`;
      return {
        summary: verified ? `${wanted} (read back)` : `${wanted} set, but ${reading}`,
        verified,
        data: {
          set: describeRequest(request),
          shown: shown === null ? null : describeRequest(shown),
          keptOverTimeout: kept.completion === completionCode.ok,
        },
      };
    });
  }

  bootDevice(signal?: AbortSignal): Promise<BootDeviceRequest | null> {
    return this.#parts.connection.guarded(signal, async (inner) => {
      if (this.#deviceId === null) await this.#readDeviceId(inner);
      return this.#readBootDevice(inner);
    });
  }

  eventLog(signal?: AbortSignal): Promise<readonly BmcEvent[]> {
    const { connection, target } = this.#parts;
    return connection.guarded(signal, (inner) => readEventLog(connection, target, inner));
  }

  clearEventLog(signal?: AbortSignal): Promise<void> {
    const { connection, target, context } = this.#parts;
    return this.#action(signal, (inner) => clearEventLog(connection, target, context.clock, inner));
  }

  sensors(signal?: AbortSignal): Promise<readonly BmcSensor[]> {
    const { connection } = this.#parts;
    return connection.guarded(signal, (inner) => readSensors(connection, inner));
  }

  console(options: { readonly takeOver: boolean }, signal?: AbortSignal): Promise<BmcConsole> {
    const connection = this.#parts.another();
    return connection.guarded(signal, (inner) => openConsole({ ...this.#parts, connection }, options, inner));
  }

  close(): Promise<void> {
    return this.#parts.connection.close();
  }

  /** Actions exclude each other; readings may go between their commands. */
  #action<T>(outer: AbortSignal | undefined, task: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { connection, line } = this.#parts;
    return connection.guarded(outer, (signal) => inTurn(line.actions, () => task(signal), signal));
  }

  async #turn(progress: TurnProgress, signal: AbortSignal): Promise<Evidence> {
    const { clock } = this.#parts.context;
    const { settings, target } = this.#parts;
    const { wanted } = progress;
    if ((await this.#readState(signal)) === wanted)
      return {
        summary: `${place(target)}: power was ${wanted} already (read back)`,
        verified: true,
        data: { state: wanted, commandsSent: 0 },
      };
    await this.#sendOnOff(progress, signal);
    const repeatAt = clock.monotonic() + settings.repeatAfter;
    // The first looks follow closely: most of what a fast BMC takes would else be our own pause.
    for (let pause = 0; ; pause = Math.min(settings.pollEvery, pause * 2 || settings.pollEvery / 128)) {
      if (pause > 0) await clock.sleep(milliseconds(pause), signal);
      if ((await this.#unlessPassing(progress, () => this.#readState(signal))) === wanted)
        return {
          summary: `${place(target)}: power is ${wanted} (read back)`,
          verified: true,
          data: { state: wanted, commandsSent: progress.sent },
        };
      // A command that follows another one closely gets lost in some BMCs, although answered with success.
      if (progress.sent === 1 && clock.monotonic() >= repeatAt) await this.#sendOnOff(progress, signal);
    }
  }

  /** "Not in this state" and a lost answer are no failures yet: only the state that follows tells. */
  async #sendOnOff(progress: TurnProgress, signal: AbortSignal): Promise<void> {
    progress.sent += 1;
    progress.said = 'nothing';
    await this.#unlessPassing(progress, async () => {
      const completion = await this.#control(progress.wanted, signal);
      progress.said = completion === completionCode.ok ? 'accepted' : describeCompletion(completion);
    });
  }

  /** What `task` gives, or null when the BMC does not answer at the moment. */
  async #unlessPassing<T>(progress: TurnProgress, task: () => Promise<T>): Promise<T | null> {
    try {
      const result = await task();
      progress.lastFailure = null;
      return result;
    } catch (error) {
      if (!(error instanceof DeviceError) || !passing.has(error.code)) throw error;
      progress.lastFailure = error;
      return null;
    }
  }

  #notConfirmed(progress: TurnProgress, within: Duration): DeviceError {
    const { target } = this.#parts;
    const time = formatDuration(within);
    if (progress.sent === 0)
      return new DeviceError({
        code: 'power.unreachable',
        what: `the power state could not be read within ${time}; nothing was sent`,
        where: place(target),
      });
    if (progress.lastFailure)
      return new DeviceError({
        code: 'power.unreachable',
        what: `power ${progress.wanted} was sent, but the power state could not be read back within ${time}`,
        where: place(target),
        said: progress.lastFailure.what,
        cause: progress.lastFailure,
      });
    return new DeviceError({
      code: 'power.unconfirmed',
      what: `power ${progress.wanted} was sent ${progress.sent === 1 ? 'once' : 'twice'}, but the power is not ${progress.wanted} after ${time}`,
      where: place(target),
      said: progress.said,
    });
  }

  /** @returns 0, or D5 for "not in this state" */
  async #control(action: ChassisAction, signal: AbortSignal): Promise<number> {
    const once = atMostOnceActions.has(action);
    const mode = { level: 3, once, tolerate: notInThisState } as const;
    return (await this.#parts.connection.exchange(chassisControl, { action }, mode, signal)).completion;
  }

  async #readState(signal: AbortSignal): Promise<PowerState> {
    const mode = { level: 2 } as const;
    const status = await this.#parts.connection.run(getChassisStatus, undefined, mode, signal);
    return status.powerOn ? 'on' : 'off';
  }

  async #readDeviceId(signal: AbortSignal): Promise<DeviceId> {
    return (this.#deviceId = await this.#parts.connection.run(getDeviceId, undefined, { level: 2 }, signal));
  }

  get #quirks(): readonly Quirk[] {
    const { connection, settings } = this.#parts;
    return quirksOf(this.#deviceId?.manufacturer ?? connection.manufacturer, settings.quirks);
  }

  async #readBootDevice(signal: AbortSignal): Promise<BootDeviceRequest | null> {
    const { connection } = this.#parts;
    const parameter = bootParameter.bootFlags;
    const answer = await connection.exchange(
      getBootOptions,
      { parameter },
      { level: 3, tolerate: 'all' },
      signal,
    );
    if (answer.completion !== completionCode.ok) return null;
    const flags = connection.decode(() => {
      const option = getBootOptions.decodeResponse(answer.data);
      // What is marked invalid the firmware does not heed.
      return option.parameter === parameter && !option.invalid ? decodeBootFlags(option.data) : null;
    }, getBootOptions.name);
    return flags && requestOf(flags, this.#quirks);
  }
}

/** How far a `turn` came, for the error when its time runs out. */
interface TurnProgress {
  readonly wanted: PowerState;
  sent: number;
  /** What the BMC said to the last command. */
  said: string;
  lastFailure: DeviceError | null;
}
