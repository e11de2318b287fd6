import { MalformedPacket } from '../../../wire/rmcp/malformed-packet.ts';
import { startTimer } from '../../../kernel/clock/start-timer.ts';
import type { Clock, Duration } from '../../../../plugin-api/index.ts';
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
  readonly #notSent = (error: Error): void => {
    this.#lastTrouble = error.message;
  };
  #question: Question<unknown> | null = null;
  #listener: ((bytes: Buffer) => boolean) | null = null;
  #lastTrouble: string | null = null;

  constructor(hub: DatagramHub, clock: Clock, address: string, port: number) {
    this.#hub = hub;
    this.#clock = clock;
    this.#address = address;
    this.#port = port;
    this.#stop = hub.listen(address, port, (bytes) => this.#hear(bytes));
  }

  /** What was odd at the last question: why it could not be sent, or its answer not be understood; null when nothing was. */
  get lastTrouble(): string | null {
    return this.#lastTrouble;
  }

  /**
   * Sends and waits for what `accept` takes; null when it did not come within `time`. Without a signal the time alone ends the wait.
   * @throws the signal's reason
   */
  ask<T>(bytes: Buffer, accept: Acceptor<T>, time: Duration, signal?: AbortSignal): Promise<T | null> {
    if (signal?.aborted) return Promise.reject(signal.reason as Error);
    this.#lastTrouble = null;
    const question = new Question(accept);
    question.whenOver(startTimer(this.#clock, time, () => question.end(null)));
    if (signal) question.whenOver(this.#hub.onAbort(signal, () => question.fail(signal.reason as Error)));
    this.#question = question as Question<unknown>;
    this.tell(bytes);
    return question.answer;
  }

  /** Gives every datagram to `listener` first; true = it was its own, and answers no question. */
  listen(listener: (bytes: Buffer) => boolean): void {
    this.#listener = listener;
  }

  /** Sends without waiting for an answer. A datagram that cannot be sent is a lost datagram. */
  tell(bytes: Buffer): void {
    this.#hub.send(bytes, this.#address, this.#port, this.#notSent);
  }

  close(): void {
    this.#stop();
  }

  #hear(datagram: Buffer): void {
    const question = this.#question;
    try {
      if (this.#listener?.(datagram)) return;
      question?.hear(datagram);
    } catch (error) {
      if (error instanceof MalformedPacket) this.#lastTrouble = error.message;
      else question?.fail(error instanceof Error ? error : new Error(String(error)));
    }
  }
}

/** One wait for an answer. */
class Question<T> {
  readonly answer: Promise<T | null>;
  readonly #accept: Acceptor<T>;
  readonly #endings: (() => void)[] = [];
  #resolve!: (value: T | null) => void;
  #reject!: (reason: Error) => void;
  #over = false;

  constructor(accept: Acceptor<T>) {
    this.#accept = accept;
    this.answer = new Promise<T | null>((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  whenOver(ending: () => void): void {
    this.#endings.push(ending);
  }

  /** @throws MalformedPacket */
  hear(datagram: Buffer): void {
    if (this.#over) return;
    const value = this.#accept(datagram);
    if (value !== undefined) this.end(value);
  }

  end(value: T | null): void {
    if (this.#finish()) this.#resolve(value);
  }

  fail(reason: Error): void {
    if (this.#finish()) this.#reject(reason);
  }

  #finish(): boolean {
    if (this.#over) return false;
    this.#over = true;
    for (const ending of this.#endings) ending();
    return true;
  }
}
