import { minutes, seconds, type Duration } from '../../plugin-api/index.ts';
import type { SuiteId } from '../../src/wire/rmcp/cipher-suite.ts';
import type { SensorReading } from '../../src/wire/rmcp/command/get-sensor-reading.ts';
import type { SensorRecord } from '../../src/wire/rmcp/sdr-record.ts';
import type { SelRecord } from '../../src/wire/rmcp/sel-record.ts';

/** A sensor of a simulated BMC: what its record says, and what it reads. */
export interface BmcSensorTrait {
  readonly record: SensorRecord;
  readonly reading: SensorReading;
}

export interface BmcUser {
  readonly name: string;
  /** A simulated password is no secret. */
  readonly password: string;
  /** Highest privilege level: 2 user, 3 operator, 4 administrator. */
  readonly level: 2 | 3 | 4;
}

/** How a simulated BMC is made; each is a fact about some real one, and can be changed while it runs. */
export interface BmcTraits {
  readonly users: readonly BmcUser[];
  readonly suites: readonly SuiteId[];
  /** BMC key; null = none. */
  readonly kg: string | null;
  /** Sessions at once, half-open ones included. */
  readonly maxSessions: number;
  /** An idle session is dropped without a word after this. */
  readonly sessionTimeout: Duration;
  /** A half-open session is dropped after this. */
  readonly setupTimeout: Duration;
  /** Boot flags become invalid this long after the last chassis control or setting, unless parameter 3 forbids it. */
  readonly bootFlagsTimeout: Duration;
  /** Whether persistent flags become invalid too. */
  readonly persistentExpires: boolean;
  /** Completion codes of controls that do not fit the power state: D5h on some BMCs, 0 without effect on others. */
  readonly offWhenOff: number;
  readonly onWhenOn: number;
  readonly cycleWhenOff: number;
  readonly resetWhenOff: number;
  readonly guid: Buffer;
  /** IANA enterprise number and product number for Get Device ID. */
  readonly manufacturer: number;
  readonly product: number;
  readonly firmwareMajor: number;
  readonly firmwareMinor: number;
  /** What the System Event Log holds at the beginning. */
  readonly eventLog: readonly SelRecord[];
  readonly sensors: readonly BmcSensorTrait[];
}

export const defaultTraits: BmcTraits = {
  users: [
    { name: 'admin', password: 'password', level: 4 },
    { name: 'oper', password: 'operpass', level: 3 },
    { name: 'ro', password: 'ropass', level: 2 },
  ],
  suites: [3, 17],
  kg: null,
  maxSessions: 16,
  sessionTimeout: seconds(60),
  setupTimeout: seconds(10),
  bootFlagsTimeout: minutes(1),
  persistentExpires: false,
  offWhenOff: 0x00,
  onWhenOn: 0x00,
  cycleWhenOff: 0xd5,
  resetWhenOff: 0xd5,
  guid: Buffer.alloc(16),
  manufacturer: 343,
  product: 0x1234,
  firmwareMajor: 2,
  firmwareMinor: 17,
  eventLog: [],
  sensors: [],
};
