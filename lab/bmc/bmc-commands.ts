import { bootParameter, getBootOptions, setBootOptions } from '../../src/wire/rmcp/command/boot-options.ts';
import { chassisControl, type ChassisAction } from '../../src/wire/rmcp/command/chassis-control.ts';
import { closeSession } from '../../src/wire/rmcp/command/close-session.ts';
import type { CommandCodec } from '../../src/wire/rmcp/command/command-codec.ts';
import { getChannelAuthCapabilities } from '../../src/wire/rmcp/command/get-channel-auth-capabilities.ts';
import {
  cipherSuiteRecords,
  getChannelCipherSuites,
} from '../../src/wire/rmcp/command/get-channel-cipher-suites.ts';
import { getChassisStatus } from '../../src/wire/rmcp/command/get-chassis-status.ts';
import { getDeviceId } from '../../src/wire/rmcp/command/get-device-id.ts';
import { getSystemGuid } from '../../src/wire/rmcp/command/get-system-guid.ts';
import { setSessionPrivilege } from '../../src/wire/rmcp/command/set-session-privilege.ts';
import { completionCode } from '../../src/wire/rmcp/completion-code.ts';
import type { ActiveSession } from './bmc-sessions.ts';
import type { BmcBehaviours } from './bmc-behaviours.ts';
import type { BmcTraits } from './bmc-options.ts';
import { getSensorReading } from '../../src/wire/rmcp/command/get-sensor-reading.ts';
import {
  activateRefusal,
  activateSol,
  deactivateSol,
  getSolParameter,
} from '../../src/wire/rmcp/command/sol-payload.ts';
import {
  clearSel,
  getSdr,
  getSdrInfo,
  getSelEntry,
  getSelInfo,
  reserveSdr,
  reserveSel,
} from '../../src/wire/rmcp/command/sel.ts';
import type { BootFlagStore } from './boot-flag-store.ts';
import { labSolPayload, type LabSol } from './lab-sol.ts';
import type { RecordStore } from './record-store.ts';

/** What the commands act on. */
export interface BmcInside {
  readonly traits: () => BmcTraits;
  readonly behaviours: () => BmcBehaviours;
  readonly flags: BootFlagStore;
  readonly eventLog: RecordStore;
  readonly sensorRecords: RecordStore;
  /** null = the host has no serial line. */
  readonly sol: LabSol | null;
  /** The UDP port it listens on. */
  readonly port: () => number;
  /** Sends Serial over LAN payloads to a session's other end. */
  readonly sendSol: (session: ActiveSession) => (payload: Buffer) => void;
  readonly powerOn: () => boolean;
  /** Carries out a chassis control and returns its completion code. */
  readonly control: (action: ChassisAction, by: string) => number;
  readonly dropSession: (id: number) => boolean;
}

export interface Reply {
  readonly completion: number;
  readonly data: Buffer;
}

interface Handler {
  readonly codec: CommandCodec<unknown, unknown>;
  /** Least privilege level; null = also answered outside a session. */
  readonly level: number | null;
  readonly run: (bmc: BmcInside, data: Buffer, session: ActiveSession | null) => Reply;
}

const fail = (completion: number): Reply => ({ completion, data: Buffer.alloc(0) });

function handler<Request, Response>(
  codec: CommandCodec<Request, Response>,
  level: number | null,
  run: (bmc: BmcInside, request: Request, session: ActiveSession | null) => { answer: Response } | number,
): Handler {
  return {
    codec,
    level,
    run(bmc, data, session) {
      const result = run(bmc, codec.decodeRequest(data), session);
      if (typeof result === 'number') return fail(result);
      return { completion: completionCode.ok, data: codec.encodeResponse(result.answer) };
    },
  };
}

const [callback, user, operator] = [1, 2, 3] as const;
const channel = 1;

const handlers: readonly Handler[] = [
  handler(getChannelAuthCapabilities, null, (bmc) => ({
    answer: {
      channel,
      ipmi20: true,
      ipmi15: false,
      kgSet: bmc.traits().kg !== null,
      namedUsers: true,
      anonymousLogin: false,
    },
  })),
  handler(getChannelCipherSuites, null, (bmc, { index }) => {
    const records = cipherSuiteRecords(bmc.traits().suites);
    return { answer: { channel, records: records.subarray(16 * index, 16 * index + 16) } };
  }),
  handler(getSystemGuid, null, (bmc) => ({ answer: bmc.traits().guid })),
  handler(getDeviceId, user, (bmc) => {
    const { manufacturer, product, firmwareMajor, firmwareMinor } = bmc.traits();
    const answer = { manufacturer, product, firmwareMajor, firmwareMinor };
    return { answer: { ...answer, deviceId: 0x20, deviceRevision: 1, updating: false } };
  }),
  handler(setSessionPrivilege, callback, (_bmc, { level }, session) => {
    if (level === 0) return { answer: { level: session!.level } };
    if (level > session!.limit) return completionCode.privilegeExceedsLimit;
    session!.level = level;
    return { answer: { level } };
  }),
  handler(closeSession, callback, (bmc, { bmcId }) =>
    bmc.dropSession(bmcId) ? { answer: undefined } : completionCode.sessionUnknown,
  ),
  handler(getChassisStatus, user, (bmc) => ({ answer: { powerOn: bmc.powerOn() } })),
  handler(chassisControl, operator, (bmc, { action }, session) => {
    const completion = bmc.control(action, session!.user.name);
    return completion === completionCode.ok ? { answer: undefined } : completion;
  }),
  handler(setBootOptions, operator, (bmc, { parameter, data }) => {
    const { refuseBootParameter3, losePersistent, loseEfi } = bmc.behaviours();
    switch (parameter) {
      case bootParameter.validBitClearing:
        if (refuseBootParameter3) return completionCode.parameterNotSupported;
        bmc.flags.notClearing = data[0] ?? 0;
        return { answer: undefined };
      case bootParameter.infoAcknowledge:
        return { answer: undefined };
      case bootParameter.bootFlags:
        if (data.length < 5) return completionCode.invalidLength;
        bmc.flags.set(data, { persistent: losePersistent, efi: loseEfi });
        return { answer: undefined };
      default:
        return completionCode.parameterNotSupported;
    }
  }),
  handler(getBootOptions, operator, (bmc, { parameter }) => {
    if (bmc.behaviours().refuseBootReading) return completionCode.parameterNotSupported;
    switch (parameter) {
      case bootParameter.validBitClearing:
        return { answer: { parameter, data: Buffer.from([bmc.flags.notClearing]) } };
      case bootParameter.infoAcknowledge:
        return { answer: { parameter, data: Buffer.alloc(2) } };
      case bootParameter.bootFlags:
        return {
          answer: {
            parameter,
            data: bmc.flags.read(bmc.traits()),
            invalid: bmc.behaviours().bootFlagsInvalid,
          },
        };
      default:
        return completionCode.parameterNotSupported;
    }
  }),
  handler(getSelInfo, user, (bmc) => ({ answer: { entries: bmc.eventLog.size, freeBytes: 0x1000 } })),
  handler(reserveSel, user, (bmc) => ({ answer: { reservation: bmc.eventLog.reserve() } })),
  handler(getSelEntry, user, (bmc, request) => answered(bmc.eventLog.read(request))),
  handler(clearSel, operator, (bmc, { reservation, begin }) => {
    if (!begin) return { answer: { done: true } };
    if (!bmc.eventLog.reservedBy(reservation)) return completionCode.reservationCancelled;
    bmc.eventLog.clear();
    return { answer: { done: true } };
  }),
  handler(getSdrInfo, user, (bmc) => ({ answer: { records: bmc.sensorRecords.size } })),
  handler(reserveSdr, user, (bmc) => ({ answer: { reservation: bmc.sensorRecords.reserve() } })),
  handler(getSdr, user, (bmc, request) => answered(bmc.sensorRecords.read(request))),
  handler(getSensorReading, user, (bmc, { sensor }) => {
    const found = bmc.traits().sensors.find(({ record }) => record.number === sensor);
    return found ? { answer: found.reading } : completionCode.notPresent;
  }),
  handler(getSolParameter, user, (bmc, { parameter }) => {
    const value = solParameters[parameter];
    return bmc.sol && value ? { answer: Buffer.from(value) } : completionCode.parameterNotSupported;
  }),
  handler(activateSol, operator, (bmc, _request, session) => {
    if (!bmc.sol) return activateRefusal.disabled;
    if (bmc.sol.active) return activateRefusal.activeElsewhere;
    bmc.sol.activate(session!.id, bmc.sendSol(session!));
    return { answer: { toBmc: labSolPayload, fromBmc: labSolPayload, port: bmc.port() } };
  }),
  handler(deactivateSol, operator, (bmc, _request, session) => {
    if (!bmc.sol?.active) return activateRefusal.activeElsewhere;
    bmc.sol.deactivate(session!.id);
    return { answer: undefined };
  }),
];

/** SOL configuration (IPMI 2.0, table 26-5): set complete, enabled, for operators, 5 ms and 96 characters, 7 tries, 115200 baud, channel, port. */
const solParameters: readonly (readonly number[])[] = [
  [0x00],
  [0x01],
  [0xc3],
  [0x01, 0x60],
  [0x07, 0x32],
  [0x0a],
  [0x0a],
  [channel],
  [0x6f, 0x02],
];

function answered<T extends object>(result: T | number): { answer: T } | number {
  return typeof result === 'number' ? result : { answer: result };
}

const byNumber = new Map(handlers.map((one) => [`${one.codec.netFn}.${one.codec.command}`, one]));

/** Runs one command. @throws MalformedPacket for request data that is too short */
export function runCommand(bmc: BmcInside, key: string, data: Buffer, session: ActiveSession | null): Reply {
  const found = byNumber.get(key);
  if (!found) return fail(session ? completionCode.invalidCommand : completionCode.insufficientPrivilege);
  if (found.level !== null && (session === null || session.level < found.level))
    return fail(completionCode.insufficientPrivilege);
  return found.run(bmc, data, session);
}
