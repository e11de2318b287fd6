import type { BmcSensor } from '../../../../plugin-api/index.ts';
import { getSensorReading } from '../../../wire/rmcp/command/get-sensor-reading.ts';
import { getSdr, lastRecord, reserveSdr } from '../../../wire/rmcp/command/sel.ts';
import { completionCode } from '../../../wire/rmcp/completion-code.ts';
import {
  decodeSdrHeader,
  decodeSensorRecord,
  sdrHeaderLength,
  sensorValue,
  type SensorRecord,
} from '../../../wire/rmcp/sdr-record.ts';
import { sensorTypeText, stateTexts, unitText } from '../../../wire/rmcp/sensor-texts.ts';
import type { IpmiConnection } from './ipmi-connection.ts';

/** Bytes of a record that every BMC can give at once. */
const partLength = 24;
/** How often it is read from the beginning, when somebody else changes the repository meanwhile. */
const mostAttempts = 5;
const mostRecords = 4_096;
/** The BMC's own sensors; those behind other controllers are not asked. */
const bmcAddress = 0x20;

/** Reads all sensor records, then each sensor. @throws DeviceError */
export async function readSensors(
  connection: IpmiConnection,
  signal: AbortSignal,
): Promise<readonly BmcSensor[]> {
  const sensors: BmcSensor[] = [];
  for (const record of await sensorRecords(connection, signal)) {
    if (record.ownerAddress !== bmcAddress || record.ownerLun !== 0) continue;
    sensors.push(await readSensor(connection, record, signal));
  }
  return sensors;
}

async function readSensor(
  connection: IpmiConnection,
  record: SensorRecord,
  signal: AbortSignal,
): Promise<BmcSensor> {
  const about = {
    number: record.number,
    name: record.name,
    type: sensorTypeText(record.sensorType),
    unit: record.factors ? unitText(record.unit, record.percent) : null,
  };
  const mode = { level: 2, tolerate: 'all' } as const;
  const answer = await connection.exchange(getSensorReading, { sensor: record.number }, mode, signal);
  if (answer.completion !== completionCode.ok) return { ...about, value: null, states: ['not readable'] };
  const reading = connection.decode(
    () => getSensorReading.decodeResponse(answer.data),
    getSensorReading.name,
  );
  if (!reading.available) return { ...about, value: null, states: [] };
  return {
    ...about,
    value: record.factors && sensorValue(record.factors, reading.raw),
    states: stateTexts(record.sensorType, record.readingType, reading.states),
  };
}

async function sensorRecords(
  connection: IpmiConnection,
  signal: AbortSignal,
): Promise<readonly SensorRecord[]> {
  for (let attempt = 1; ; attempt += 1) {
    const found = await repositoryOnce(connection, attempt < mostAttempts, signal);
    if (found !== null) return found;
  }
}

/** One pass through the repository; null = it was changed meanwhile. */
async function repositoryOnce(
  connection: IpmiConnection,
  mayLose: boolean,
  signal: AbortSignal,
): Promise<readonly SensorRecord[] | null> {
  const { reservation } = await connection.run(reserveSdr, undefined, { level: 2 }, signal);
  const found: SensorRecord[] = [];
  for (let record = 0, n = 0; record !== lastRecord && n < mostRecords; n += 1) {
    const read = await readRecord(connection, reservation, record, mayLose, signal);
    if (read === null) return null;
    const sensor = read.bytes && connection.decode(() => decodeSensorRecord(read.bytes!), getSdr.name);
    if (sensor) found.push(sensor);
    record = read.next === record ? lastRecord : read.next;
  }
  return found;
}

/** One record, read in parts; null = the reservation is gone. */
async function readRecord(
  connection: IpmiConnection,
  reservation: number,
  record: number,
  mayLose: boolean,
  signal: AbortSignal,
): Promise<{ readonly next: number; readonly bytes: Buffer | null } | null> {
  const parts: Buffer[] = [];
  let next = lastRecord;
  let length = sdrHeaderLength;
  for (let offset = 0; offset < length;) {
    const count = offset === 0 ? sdrHeaderLength : Math.min(partLength, length - offset);
    const tolerate = new Set<number>(mayLose ? [completionCode.reservationCancelled] : []);
    // A repository without any record has no first one.
    if (record === 0) tolerate.add(completionCode.notPresent);
    const mode = { level: 2, tolerate } as const;
    const answer = await connection.exchange(getSdr, { reservation, record, offset, count }, mode, signal);
    if (answer.completion === completionCode.reservationCancelled) return null;
    if (answer.completion === completionCode.notPresent) return { next: lastRecord, bytes: null };
    const part = connection.decode(() => getSdr.decodeResponse(answer.data), getSdr.name);
    if (offset === 0) {
      next = part.next;
      length += connection.decode(() => decodeSdrHeader(part.data), getSdr.name).length;
    }
    if (part.data.length === 0) break;
    parts.push(part.data);
    offset += part.data.length;
  }
  return { next, bytes: Buffer.concat(parts) };
}
