import { startTimer } from '../../../kernel/clock/start-timer.ts';
import { Mutex } from '../../../kernel/concurrency/mutex.ts';
import {
  DeviceError,
  type BmcConsole,
  type BmcTarget,
  type Clock,
  type CodedError,
  type Duration,
} from '../../../../plugin-api/index.ts';
import {
  encodeSolPacket,
  nextSolSequence,
  solHeaderLength,
  solOperation,
  solStatus,
  type SolPacket,
} from '../../../wire/rmcp/sol-packet.ts';
import { isNewer } from '../../../wire/rmcp/sequence-window.ts';
import type { SolActivation } from '../../../wire/rmcp/command/sol-payload.ts';
import { place } from './ipmi-errors.ts';
import { OutputQueue } from './output-queue.ts';

export interface SolSettings {
  /** How long each packet waits for its acknowledgement. */
  readonly retryAfter: Duration;
  /** How often a packet is sent before the console counts as broken. */
  readonly tries: number;
  /** How often the BMC may refuse characters because it cannot take any now. */
  readonly refusals: number;
}

export interface SolConsoleParts {
  readonly target: BmcTarget;
  readonly clock: Clock;
  readonly settings: SolSettings;
  readonly activation: SolActivation;
  send(payload: Buffer): void;
  /** Closes the session; `active` = and deactivates the payload first, which may by now be somebody else's otherwise. */
  leave(active: boolean): Promise<void>;
}

/** Most characters in a packet, whatever a BMC says: some tell their sizes with the bytes swapped. */
const longestChunk = 200;
const unknownSizeChunk = 60;

interface Outstanding {
  readonly sequence: number;
  /** The last session sequence number heard before it was first sent: what acknowledges it was sent after that. */
  readonly since: number;
  readonly settle: (answer: SolPacket | null) => void;
}

/** One end of a Serial over LAN: every packet is sent until it is acknowledged, one at a time in each direction. */
export class SolConsole implements BmcConsole {
  readonly output: OutputQueue;
  readonly #parts: SolConsoleParts;
  readonly #writing = new Mutex();
  readonly #chunk: number;
  #sequence = 0;
  #received = 0;
  #receivedLength = 0;
  /**
   * The session sequence number of the last output. A packet's own number (1 to 15) tells a repetition only from the packet
   * right before it; one that the network held back is older than what came meanwhile, and was acknowledged long ago.
   */
  #newest = 0;
  /** The same of any packet. */
  #latest = 0;
  #outstanding: Outstanding | null = null;
  #broken: CodedError | null = null;
  #closed = false;

  constructor(parts: SolConsoleParts) {
    this.#parts = parts;
    const told = parts.activation.toBmc - solHeaderLength;
    this.#chunk = told >= 1 && told <= 1_024 ? Math.min(told, longestChunk) : unknownSizeChunk;
    this.output = new OutputQueue();
  }

  async write(bytes: Buffer): Promise<void> {
    await this.#writing.run(async () => {
      for (let at = 0; at < bytes.length; at += this.#chunk)
        await this.#deliver(bytes.subarray(at, at + this.#chunk), 0);
    });
  }

  async sendBreak(): Promise<void> {
    await this.#writing.run(() => this.#deliver(Buffer.alloc(0), solOperation.sendBreak));
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#end(null);
    await this.#parts.leave(this.#broken === null);
  }

  /** Takes a packet of the BMC; `order` = the session sequence number it came with. */
  hear(packet: SolPacket, order: number): void {
    if (this.#closed || this.#broken) return;
    const waiting = this.#outstanding;
    // Numbers begin again after 15: an acknowledgement that the network held back must not be taken for that of a later packet.
    const later = waiting !== null && isNewer(order, waiting.since);
    if (later && packet.acknowledged === waiting.sequence) waiting.settle(packet);
    if (isNewer(order, this.#latest)) this.#latest = order;
    if (packet.sequence !== 0 && isNewer(order, this.#newest)) {
      this.#newest = order;
      this.#take(packet);
    }
    if ((packet.flags & solStatus.deactivated) !== 0)
      this.fail(
        this.#error(
          'power.unreachable',
          'the BMC ended the console: somebody else may have taken it',
          'open it again when the other one is done',
        ),
      );
  }

  /** Ends the console for a reason from outside. */
  fail(reason: CodedError): void {
    if (this.#closed || this.#broken) return;
    this.#broken = reason;
    this.#end(reason);
  }

  #end(reason: CodedError | null): void {
    this.output.end(reason);
    this.#outstanding?.settle(null);
  }

  #take(packet: SolPacket): void {
    const { sequence, characters } = packet;
    if (sequence !== this.#received) {
      // Nobody reads: without an acknowledgement the BMC sends it again, and holds back what comes after.
      if (this.output.full) return;
      this.#received = sequence;
      this.#receivedLength = characters.length;
      this.output.push(Buffer.from(characters));
    } else if (characters.length > this.#receivedLength) {
      // A repetition may have grown: what is new of it counts.
      this.output.push(Buffer.from(characters.subarray(this.#receivedLength)));
      this.#receivedLength = characters.length;
    }
    this.#send({ sequence: 0, acknowledged: sequence, accepted: characters.length, flags: 0 });
  }

  /** Sends until everything is taken. @throws DeviceError */
  async #deliver(characters: Buffer, flags: number): Promise<void> {
    const { settings, clock } = this.#parts;
    let rest = characters;
    for (let refusals = 0; ;) {
      const answer = await this.#exchange(rest, flags);
      const refused = (answer.flags & (solStatus.nack | solStatus.unavailable)) !== 0;
      rest = rest.subarray(answer.accepted);
      if (rest.length === 0 && (!refused || characters.length > 0)) return;
      refusals = answer.accepted > 0 ? 0 : refusals + 1;
      if (refusals > settings.refusals)
        throw this.#error('power.busy', 'the BMC takes no characters: the machine may be off');
      await clock.sleep(settings.retryAfter);
      this.#throwIfOver();
    }
  }

  async #exchange(characters: Buffer, flags: number): Promise<SolPacket> {
    const { settings } = this.#parts;
    this.#sequence = nextSolSequence(this.#sequence);
    const since = this.#latest;
    for (let i = 0; i < settings.tries; i += 1) {
      this.#throwIfOver();
      const answer = await this.#once(this.#sequence, since, characters, flags);
      if (answer) return answer;
    }
    this.#throwIfOver();
    const error = this.#error('power.unreachable', `the console was not answered in ${settings.tries} tries`);
    this.fail(error);
    throw error;
  }

  #once(sequence: number, since: number, characters: Buffer, flags: number): Promise<SolPacket | null> {
    return new Promise((resolve) => {
      const settle = (answer: SolPacket | null): void => {
        this.#outstanding = null;
        cancel();
        resolve(answer);
      };
      const cancel = startTimer(this.#parts.clock, this.#parts.settings.retryAfter, () => settle(null));
      this.#outstanding = { sequence, since, settle };
      this.#send({ sequence, acknowledged: 0, accepted: 0, flags }, characters);
    });
  }

  #send(head: Omit<SolPacket, 'characters'>, characters: Buffer = Buffer.alloc(0)): void {
    this.#parts.send(encodeSolPacket({ ...head, characters }));
  }

  #throwIfOver(): void {
    if (this.#broken) throw this.#broken;
    if (this.#closed) throw this.#error('power.unreachable', 'the console is closed');
  }

  #error(code: 'power.unreachable' | 'power.busy', what: string, remedy?: string): DeviceError {
    return new DeviceError({ code, what, where: place(this.#parts.target), remedy });
  }
}
