import { seconds, type Clock, type Duration } from '../../../plugin-api/index.ts';
import type { MachineId } from '../../core/machine/machine.ts';
import type { Storage, Tx } from '../../core/storage/storage.ts';
import { asCodedError } from '../../kernel/errors/service-error.ts';
import type { Log } from '../../kernel/log/log.ts';
import type { Metrics } from '../../kernel/metrics/metrics.ts';
import { recordEvents, type MachineEvent } from './record-event.ts';

export interface EventNotesOptions {
  readonly storage: Storage;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  /** How long a note waits for a unit of work of its machine's operation before it gets one for itself. Default 1 s. */
  readonly delay?: Duration;
  /** How many may wait; what comes on top is lost, and counted. Default 10,000. */
  readonly most?: number;
}

/** Events of one unit of work when they are written by themselves. */
const perUnit = 256;

interface Note {
  readonly event: MachineEvent;
  /** How often the same was noted while it waited. */
  count: number;
}

/**
 * Events that have no unit of work of their own: what a BMC was told, an answer that was sent. They wait in memory for the
 * next write of the operation on their machine, and go with it; the others are gathered and written together. A crash loses
 * at most what was noted in the last second.
 */
export class EventNotes {
  readonly #options: EventNotesOptions;
  readonly #delay: Duration;
  readonly #most: number;
  #notes = new Map<MachineId, Note[]>();
  #count = 0;
  #timer: AbortController | null = null;
  #writing: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(options: EventNotesOptions) {
    this.#options = options;
    this.#delay = options.delay ?? seconds(1);
    this.#most = options.most ?? 10_000;
  }

  note(event: MachineEvent): void {
    const waiting = this.#notes.get(event.machineId);
    const same = waiting?.findLast(({ event: other }) => isSame(event, other));
    if (same) {
      same.count += 1;
      return;
    }
    if (this.#count >= this.#most) {
      this.#options.metrics.timelineLost.inc();
      return;
    }
    this.#count += 1;
    if (waiting) waiting.push({ event, count: 1 });
    else this.#notes.set(event.machineId, [{ event, count: 1 }]);
    this.#writeSoon();
  }

  /**
   * The machine's notes, for a unit of work that is about it anyway; null = there are none. Whoever takes them writes them, or
   * gives them back.
   */
  take(machineId: MachineId, operationId: string): TakenNotes | null {
    const notes = this.#notes.get(machineId);
    if (!notes) return null;
    this.#notes.delete(machineId);
    this.#count -= notes.length;
    const events = notes.map((note) => {
      const event = eventOf(note);
      return event.operationId === undefined ? { ...event, operationId } : event;
    });
    return {
      write: (tx) => recordEvents(tx, events),
      giveBack: () => {
        for (const event of events) this.note(event);
      },
    };
  }

  /** Writes all that waits. Never rejects: what cannot be written waits on. */
  flush(): Promise<void> {
    this.#timer?.abort();
    this.#timer = null;
    const writing = this.#writing.then(() => this.#write());
    this.#writing = writing;
    return writing;
  }

  /** Writes what waits, once; what cannot be written is lost, and so is what is noted from now on. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.flush();
  }

  #writeSoon(): void {
    if (this.#timer || this.#closed) return;
    const timer = new AbortController();
    this.#timer = timer;
    this.#options.clock.sleep(this.#delay, timer.signal).then(
      () => this.flush(),
      () => undefined,
    );
  }

  async #write(): Promise<void> {
    const events = [...this.#notes.values()].flat().map(eventOf);
    this.#notes = new Map();
    this.#count = 0;
    for (let from = 0; from < events.length; from += perUnit) {
      const some = events.slice(from, from + perUnit);
      try {
        await this.#options.storage.run((tx) => recordEvents(tx, some));
      } catch (thrown) {
        const error = asCodedError(thrown);
        this.#options.log.warn({ error: error.message }, 'events of machines are not written yet');
        for (const event of events.slice(from)) this.note(event);
        return;
      }
    }
  }
}

export interface TakenNotes {
  write(tx: Tx): Promise<void>;
  giveBack(): void;
}

/** Somebody who asks for the same again and again makes one event a second, not a thousand. */
function isSame(a: MachineEvent, b: MachineEvent): boolean {
  return (
    a.kind === b.kind &&
    a.text === b.text &&
    a.operationId === b.operationId &&
    a.before === b.before &&
    a.after === b.after &&
    a.who?.principal === b.who?.principal &&
    a.who?.reason === b.who?.reason
  );
}

function eventOf({ event, count }: Note): MachineEvent {
  return count === 1 ? event : { ...event, text: `${event.text} (${count} times)` };
}
