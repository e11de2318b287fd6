import { lastRecord, type RecordPart, type RecordRequest } from '../../src/wire/rmcp/command/sel.ts';
import { completionCode } from '../../src/wire/rmcp/completion-code.ts';

/** Records of a simulated BMC, read whole or in parts, under reservations that a change cancels. */
export class RecordStore {
  #records: readonly { readonly id: number; readonly bytes: Buffer }[];
  #reservation = 0;

  constructor(records: readonly { readonly id: number; readonly bytes: Buffer }[]) {
    this.#records = records;
  }

  get size(): number {
    return this.#records.length;
  }

  reserve(): number {
    this.#reservation = (this.#reservation % 0xfffe) + 1;
    return this.#reservation;
  }

  reservedBy(reservation: number): boolean {
    return reservation === this.#reservation;
  }

  clear(): void {
    this.#records = [];
    this.reserve();
  }

  /** A record or a part of it, or the completion code of a refusal. Whole records need no reservation. */
  read({ reservation, record, offset, count }: RecordRequest): RecordPart | number {
    const found =
      record === 0 ? 0 : this.#records.findIndex(({ id }) => id === record || record === lastRecord);
    const at = this.#records[found];
    if (!at) return completionCode.notPresent;
    if (offset > 0 && !this.reservedBy(reservation)) return completionCode.reservationCancelled;
    const data = at.bytes.subarray(offset, count === 0xff ? undefined : offset + count);
    // What many BMCs cannot give at once, so that clients learn to ask for parts.
    if (data.length > 32) return completionCode.tooManyBytes;
    return { next: this.#records[found + 1]?.id ?? lastRecord, data };
  }
}
