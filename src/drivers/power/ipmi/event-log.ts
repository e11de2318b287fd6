import {
  DeviceError,
  milliseconds,
  type BmcEvent,
  type BmcTarget,
  type Clock,
} from '../../../../plugin-api/index.ts';
import {
  clearSel,
  getSelEntry,
  getSelInfo,
  lastRecord,
  reserveSel,
  wholeRecord,
} from '../../../wire/rmcp/command/sel.ts';
import { completionCode } from '../../../wire/rmcp/completion-code.ts';
import { decodeSelRecord, type SelRecord } from '../../../wire/rmcp/sel-record.ts';
import { eventText, sensorTypeText } from '../../../wire/rmcp/sensor-texts.ts';
import type { IpmiConnection } from './ipmi-connection.ts';
import { completionError, place } from './ipmi-errors.ts';

/** A log that never ends would be read for ever; the largest real ones have some thousand entries. */
const mostEntries = 65_535;
/** Times before this (some months after 1970) count from the BMC's start: its clock was not set (IPMI 2.0, section 37.1). */
const clockWasSet = 0x2000_0000;
/** "Invalid or unspecified" (the same section). */
const unspecifiedTime = 0xffff_ffff;
/** How often a BMC that is erasing its log is asked whether it is done. */
const clearing = { tries: 30, pause: milliseconds(500) };

/** Reads the whole System Event Log. @throws DeviceError */
export async function readEventLog(
  connection: IpmiConnection,
  target: BmcTarget,
  signal: AbortSignal,
): Promise<readonly BmcEvent[]> {
  const { entries } = await connection.run(getSelInfo, undefined, { level: 2 }, signal);
  if (entries === 0) return [];
  const events: BmcEvent[] = [];
  // Reading needs no reservation as long as records are read whole (IPMI 2.0, section 31.4).
  for (let record = 0; record !== lastRecord && events.length < mostEntries;) {
    const request = { reservation: 0, record, offset: 0, count: wholeRecord };
    const mode = { level: 2, tolerate: new Set([completionCode.notPresent]) } as const;
    const answer = await connection.exchange(getSelEntry, request, mode, signal);
    // Somebody erased the log while it was read.
    if (answer.completion === completionCode.notPresent) break;
    const { next, data } = connection.decode(() => getSelEntry.decodeResponse(answer.data), getSelEntry.name);
    events.push(
      eventOf(
        connection.decode(() => decodeSelRecord(data), 'SEL record'),
        data,
      ),
    );
    if (next === record) break;
    record = next;
  }
  if (events.length === mostEntries)
    throw new DeviceError({
      code: 'power.protocol',
      what: 'the System Event Log has no end',
      where: place(target),
    });
  return events;
}

/** Erases the System Event Log, and waits until that is done. @throws DeviceError */
export async function clearEventLog(
  connection: IpmiConnection,
  target: BmcTarget,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  const { reservation } = await connection.run(reserveSel, undefined, { level: 3 }, signal);
  let { done } = await connection.run(clearSel, { reservation, begin: true }, { level: 3 }, signal);
  for (let i = 0; i < clearing.tries && !done; i += 1) {
    await clock.sleep(clearing.pause, signal);
    ({ done } = await connection.run(clearSel, { reservation, begin: false }, { level: 3 }, signal));
  }
  if (!done) throw completionError(target, clearSel.name, completionCode.busy);
}

function eventOf(record: SelRecord, raw: Buffer): BmcEvent {
  const { timestamp } = record;
  const known = timestamp !== null && timestamp >= clockWasSet && timestamp !== unspecifiedTime;
  const at = known ? timestamp * 1_000 : null;
  const common = { id: record.id, at, raw: raw.subarray(0, 16).toString('hex') };
  if (record.kind === 'oem')
    return {
      ...common,
      sensorType: `OEM record ${record.type.toString(16).toUpperCase()}h`,
      sensor: null,
      what: record.data.toString('hex'),
      asserted: true,
    };
  return {
    ...common,
    sensorType: sensorTypeText(record.sensorType),
    sensor: record.sensor,
    what: eventText(record.sensorType, record.eventType, record.data[0]! & 0x0f),
    asserted: record.asserted,
  };
}
