import { seconds, type Clock, type Duration } from '../../../plugin-api/index.ts';
import type { MachineId } from '../../core/machine/machine.ts';
import type { Storage, Tx } from '../../core/storage/storage.ts';
import { asCodedError } from '../../kernel/errors/service-error.ts';
import type { Log } from '../../kernel/log/log.ts';
import type { Metrics } from '../../kernel/metrics/metrics.ts';
import type { LeftFile, NotesFiles } from './notes-files.ts';
import { newEventId, recordEvents, type MachineEvent, type NotedEvent } from './record-event.ts';

export interface EventNotesOptions {
  readonly storage: Storage;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  /** Where what waits outlives the process; absent = nowhere. */
  readonly files?: NotesFiles | undefined;
  /** How long a note waits for a unit of work of its machine's operation before it gets one for itself. Default 1 s. */
  readonly delay?: Duration;
  /** How many may wait; what comes on top is lost, and counted. Default 10,000. */
  readonly most?: number;
}

/** Events of one unit of work when they are written by themselves. */
const perUnit = 256;

interface Note {
  readonly event: NotedEvent;
  /** How often the same was noted while it waited. */
  count: number;
  /** It was given back: whether it was written is not certain. */
  readonly again: boolean;
}

/**
 * Events that have no unit of work of their own: what a BMC was told, an answer that was sent. They wait for the next write of the
 * operation on their machine, and go with it; the others are gathered and written together. What waits is in a file too, so that
 * the next process writes what a crash left.
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
  #left: LeftFile[];
  #filesFail = false;

  constructor(options: EventNotesOptions) {
    this.#options = options;
    this.#delay = options.delay ?? seconds(1);
    this.#most = options.most ?? 10_000;
    this.#left = this.#leftBehind();
    if (this.#left.length > 0) this.#writeSoon();
  }

  note(event: MachineEvent): void {
    const waiting = this.#notes.get(event.machineId);
    const same = waiting?.findLast(({ event: other }) => isSame(event, other));
    if (same) same.count += 1;
    else if (this.#closed || this.#count >= this.#most) this.#options.metrics.timelineLost.inc();
    else {
      const noted = { ...event, id: newEventId(event.at) };
      this.#inFile((files) => files.add(noted));
      this.#keep({ event: noted, count: 1, again: false });
    }
  }

  #keep(note: Note): void {
    const { machineId } = note.event;
    const waiting = this.#notes.get(machineId);
    if (waiting) waiting.push(note);
    else this.#notes.set(machineId, [note]);
    this.#count += 1;
    this.#writeSoon();
  }

  #giveBack(events: readonly NotedEvent[]): void {
    for (const event of events)
      if (this.#count < this.#most) this.#keep({ event, count: 1, again: true });
      else this.#options.metrics.timelineLost.inc();
  }

  /**
   * The machine's notes, for a unit of work that is about it anyway; null = there are none. Whoever takes them writes them, and
   * says when they are written, or gives them back.
   */
  take(machineId: MachineId, operationId: string): TakenNotes | null {
    const notes = this.#notes.get(machineId);
    if (!notes) return null;
    this.#notes.delete(machineId);
    this.#count -= notes.length;
    const again = notes.some((note) => note.again);
    const events = notes.map((note) => {
      const event = eventOf(note);
      return event.operationId === undefined ? { ...event, operationId } : event;
    });
    return {
      write: (tx) => recordEvents(tx, events, { again }),
      written: () => this.#settle(events),
      giveBack: () => this.#giveBack(events),
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

  /** Writes what waits, once; what cannot be written is left to the next process, and what is noted from now on is lost. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.flush();
    this.#inFile((files) => files.close());
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
    const { log, storage } = this.#options;
    const notes = [...this.#notes.values()].flat();
    const events = notes.map(eventOf);
    this.#notes = new Map();
    this.#count = 0;
    let from = 0;
    try {
      await this.#writeLeft();
      for (; from < events.length; from += perUnit) {
        const some = events.slice(from, from + perUnit);
        const again = notes.slice(from, from + perUnit).some((note) => note.again);
        await storage.run((tx) => recordEvents(tx, some, { again }));
        this.#settle(some);
      }
    } catch (thrown) {
      log.warn({ error: asCodedError(thrown).message }, 'events of machines are not written yet');
      this.#giveBack(events.slice(from));
      this.#writeSoon();
    }
  }

  /** What earlier processes could not write any more, or wrote and could not strike out. */
  async #writeLeft(): Promise<void> {
    for (let file = this.#left[0]; file; file = this.#left[0]) {
      const { events } = file;
      for (let from = 0; from < events.length; from += perUnit) {
        const some = events.slice(from, from + perUnit);
        await this.#options.storage.run((tx) => recordEvents(tx, some, { again: true }));
      }
      this.#inFile(() => file.remove());
      this.#left.shift();
    }
  }

  #settle(events: readonly NotedEvent[]): void {
    this.#inFile((files) => files.settle(events.map(({ id }) => id)));
  }

  #leftBehind(): LeftFile[] {
    let left: readonly LeftFile[] = [];
    this.#inFile((files) => {
      left = files.leftBehind();
    });
    return [...left];
  }

  /** What waits is in memory anyway: a file that cannot be written is told once, and nothing fails because of it. */
  #inFile(work: (files: NotesFiles) => void): void {
    const { files, log } = this.#options;
    if (!files) return;
    try {
      work(files);
      this.#filesFail = false;
    } catch (thrown) {
      if (!this.#filesFail)
        log.warn(
          { error: asCodedError(thrown).message },
          'a crash would lose events of machines: their file cannot be used',
        );
      this.#filesFail = true;
    }
  }
}

export interface TakenNotes {
  write(tx: Tx): Promise<void>;
  /** The unit of work is over: they are in the database. */
  written(): void;
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

function eventOf({ event, count }: Note): NotedEvent {
  return count === 1 ? event : { ...event, text: `${event.text} (${count} times)` };
}
