import { MalformedPacket } from '../../../wire/rmcp/malformed-packet.ts';
import type { Clock, Duration } from '../../../../plugin-api/index.ts';
import { answerWithin } from './answer-wait.ts';
import type { DatagramHub } from './datagram-hub.ts';

/** Turns a datagram into the answer waited for; undefined = something else (late, repeated, for another session). */
export type Acceptor<T> = (bytes: Buffer) => T | undefined;

/** Question and answer with one BMC over the shared socket; one question at a time. */
export class BmcChannel {
  readonly #hub: DatagramHub;
  readonly #clock: Clock;
  readonly #address: string;
  readonly #port: number;
  readonly #stop: () => void;
  #waiter: ((bytes: Buffer) => void) | null = null;
  #lastTrouble: string | null = null;

  constructor(hub: DatagramHub, clock: Clock, address: string, port: number) {
    this.#hub = hub;
    this.#clock = clock;
    this.#address = address;
    this.#port = port;
    this.#stop = hub.listen(address, port, (bytes) => this.#waiter?.(bytes));
  }

  /** Why the last datagram could not be sent or understood, for the text of an error; null when nothing was odd. */
  get lastTrouble(): string | null {
    return this.#lastTrouble;
  }

  /** Sends and waits for what `accept` takes; null when it did not come within `time`. @throws the signal's reason */
  async ask<T>(bytes: Buffer, accept: Acceptor<T>, time: Duration, signal: AbortSignal): Promise<T | null> {
    const answer = new Promise<T>((resolve) => {
      this.#waiter = (datagram) => {
        const value = this.#tryAccept(accept, datagram);
        if (value !== undefined) resolve(value);
      };
    });
    try {
      void this.tell(bytes);
      return await answerWithin(this.#clock, answer, time, signal);
    } finally {
      this.#waiter = null;
    }
  }

  /** Sends without waiting for an answer. A datagram that cannot be sent is a lost datagram. */
  async tell(bytes: Buffer): Promise<void> {
    try {
      await this.#hub.send(bytes, this.#address, this.#port);
    } catch (error) {
      this.#lastTrouble = error instanceof Error ? error.message : String(error);
    }
  }

  close(): void {
    this.#stop();
  }

  #tryAccept<T>(accept: Acceptor<T>, datagram: Buffer): T | undefined {
    try {
      return accept(datagram);
    } catch (error) {
      if (!(error instanceof MalformedPacket)) throw error;
      this.#lastTrouble = error.message;
      return undefined;
    }
  }
}
