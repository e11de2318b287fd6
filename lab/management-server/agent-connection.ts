import { composeBody, parseBody, type BodyEntry, type ParsedEntry } from '../../src/wire/cloudstack/body.ts';
import { decodeFrame, encodeFrame, type Frame } from '../../src/wire/cloudstack/frame.ts';
import type { FramedTlsLink } from '../../src/wire/cloudstack/framed-tls-link.ts';
import { flag, responseHeader, type FrameHeader } from '../../src/wire/cloudstack/header.ts';
import { flagField, textField, type GsonFields } from '../../src/wire/cloudstack/gson-reader.ts';
import { gsonText, type GsonObject, type GsonStyle } from '../../src/wire/cloudstack/gson-writer.ts';
import { commandBase } from '../../src/wire/cloudstack/message/command-base.ts';
import type { LabCommand } from './commands.ts';

/** Java writes UTF-8 as it is. */
const serverStyle: GsonStyle = { nonAscii: 'utf8' };

export interface SendOptions {
  /** Seconds, written into each command's `wait`; also how long the server waits for the answers when `timeout` is not given. */
  readonly wait?: number;
  /** Milliseconds to wait for the answers. */
  readonly timeout?: number;
  /** True unless given, as for a single command. */
  readonly stopOnError?: boolean;
  /** Unless given, as the commands ask. */
  readonly inSequence?: boolean;
}

/** One answer as the server got it. */
export interface LabAnswer {
  readonly className: string;
  readonly result: boolean;
  readonly details: string | null;
  readonly fields: GsonFields;
  /** The answer's object exactly as it came. */
  readonly text: string;
}

interface Waiter {
  readonly header: FrameHeader;
  readonly frame: Buffer;
  readonly classes: readonly string[];
  readonly commands: number;
  resolve(answers: LabAnswer[]): void;
  reject(error: Error): void;
}

export interface ConnectionEvents {
  /** A request of the agent. */
  request(frame: Frame, entries: readonly ParsedEntry[]): void;
  /** Something that the real server would log as an error or lose silently. */
  anomaly(what: string): void;
  /** A frame with commands has left. */
  sent(classes: readonly string[]): void;
}

/** One link of the lab's management server: sequence numbers, waiters and the in-sequence queue of `AgentAttache.java`. */
export class AgentConnection {
  readonly #link: FramedTlsLink;
  readonly #mgmtId: bigint;
  readonly #events: ConnectionEvents;
  readonly #waiters = new Map<bigint, Waiter>();
  /** In-sequence requests; the first one is on the wire. */
  readonly #queue: Waiter[] = [];
  #sequence: bigint;
  #agentId = -1n;

  constructor(link: FramedTlsLink, mgmtId: bigint, firstSequence: bigint, events: ConnectionEvents) {
    this.#link = link;
    this.#mgmtId = mgmtId;
    this.#sequence = firstSequence;
    this.#events = events;
  }

  get link(): FramedTlsLink {
    return this.#link;
  }

  /** The host that the link belongs to, or -1. */
  get agentId(): bigint {
    return this.#agentId;
  }

  attach(hostId: bigint): void {
    this.#agentId = hostId;
  }

  receive(bytes: Buffer): void {
    let frame: Frame;
    let entries: ParsedEntry[];
    try {
      frame = decodeFrame(bytes);
      entries = parseBody(frame.text);
    } catch (error) {
      this.#events.anomaly(`frame not understood: ${(error as Error).message}`);
      return;
    }
    if ((frame.header.flags & flag.REQUEST) !== 0) this.#events.request(frame, entries);
    else this.#settle(frame.header, entries);
  }

  /** Sends commands in one frame and waits for as many answers. */
  send(commands: readonly LabCommand[], options: SendOptions = {}): Promise<LabAnswer[]> {
    const inSequence = options.inSequence ?? commands.some((command) => command.inSequence);
    const stopOnError = options.stopOnError ?? true;
    const header: FrameHeader = {
      version: 0,
      reserved: 0,
      flags:
        flag.REQUEST |
        flag.FROM_SERVER |
        (stopOnError ? flag.STOP_ON_ERROR : 0) |
        (inSequence ? flag.IN_SEQUENCE : 0),
      sequence: this.#sequence,
      length: 0,
      mgmtId: this.#mgmtId,
      agentId: this.#agentId,
      via: this.#agentId,
    };
    this.#sequence += 1n;
    const entries = commands.map((command) => commandEntry(command, options.wait));
    const frame = encodeFrame(header, composeBody(entries));
    const classes = commands.map((command) => command.className);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => {
          this.#forget(header.sequence);
          reject(new Error(`no answer to ${classes.join()} in time`));
        },
        options.timeout ?? (options.wait ?? 60) * 1_000,
      );
      const waiter: Waiter = {
        header,
        frame,
        classes,
        commands: commands.length,
        resolve: (answers) => {
          clearTimeout(timer);
          resolve(answers);
        },
        reject: (error) => {
          clearTimeout(timer);
          reject(error);
        },
      };
      this.#waiters.set(header.sequence, waiter);
      if (!inSequence) this.#transmit(waiter);
      else if (this.#queue.push(waiter) === 1) this.#transmit(waiter);
    });
  }

  /** Sends a command that gets no answer and has a header of its own. */
  post(header: FrameHeader, entries: readonly BodyEntry[]): void {
    void this.#link.send(encodeFrame(header, composeBody(entries))).catch(() => undefined);
  }

  /** Answers a request of the agent: the server's id goes into the header. */
  answer(request: FrameHeader, className: string, fields: GsonObject, agentId = request.agentId): void {
    const header = { ...responseHeader(request), mgmtId: this.#mgmtId, agentId, via: agentId };
    const text = gsonText({ ...fields, result: true, ...commandBase() }, serverStyle);
    this.post(header, [{ className, text }]);
  }

  /** The link is gone: nobody gets an answer any more. */
  lost(): void {
    const waiters = [...this.#waiters.values()];
    this.#waiters.clear();
    this.#queue.length = 0;
    for (const waiter of waiters)
      waiter.reject(new Error(`the link was lost before ${waiter.classes.join()} was answered`));
  }

  #transmitNext(): void {
    const next = this.#queue.at(0);
    if (next) this.#transmit(next);
  }

  #transmit(waiter: Waiter): void {
    this.#link.send(waiter.frame).then(
      () => this.#events.sent(waiter.classes),
      () => undefined,
    );
  }

  #settle(header: FrameHeader, entries: readonly ParsedEntry[]): void {
    if (header.mgmtId !== this.#mgmtId) {
      this.#events.anomaly(`answer ${header.sequence} is for server ${header.mgmtId}: lost`);
      return;
    }
    // Only an answer that carries IN_SEQUENCE releases the next queued request.
    if ((header.flags & flag.IN_SEQUENCE) !== 0 && this.#queue[0]?.header.sequence === header.sequence) {
      this.#queue.shift();
      this.#transmitNext();
    }
    const waiter = this.#waiters.get(header.sequence);
    if (waiter?.header.agentId !== header.agentId) {
      this.#events.anomaly(`answer ${header.sequence} of host ${header.agentId} has no waiter`);
      return;
    }
    this.#waiters.delete(header.sequence);
    if (this.#queue.includes(waiter))
      this.#events.anomaly(`answer ${header.sequence} lacks IN_SEQUENCE: the queue stalls`);
    if (entries.length !== waiter.commands) {
      this.#events.anomaly(`${entries.length} answers to ${waiter.commands} commands`);
    }
    waiter.resolve(
      entries.map((entry) => ({
        className: entry.className,
        result: flagField(entry.fields, 'result'),
        details: textField(entry.fields, 'details'),
        fields: entry.fields,
        text: entry.text,
      })),
    );
  }

  #forget(sequence: bigint): void {
    this.#waiters.delete(sequence);
    const at = this.#queue.findIndex((waiter) => waiter.header.sequence === sequence);
    if (at < 0) return;
    this.#queue.splice(at, 1);
    if (at === 0) this.#transmitNext();
  }
}

/** A command as the server's Gson writes it. */
export function commandEntry(command: LabCommand, wait = 0): BodyEntry {
  const text = gsonText({ ...command.fields, ...commandBase(wait) }, serverStyle);
  return { className: command.className, text };
}
