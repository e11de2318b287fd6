import { isIPv6 } from 'node:net';
import { MalformedPacket } from '../../../wire/rmcp/malformed-packet.ts';
import { startTimer } from '../../../kernel/clock/start-timer.ts';
import type { Clock, Duration } from '../../../../plugin-api/index.ts';
import type { DatagramAddress, DatagramHub, DatagramListener } from './datagram-hub.ts';

/** Turns a datagram into the answer waited for; undefined = something else (late, repeated, for another session). */
export type Acceptor<T> = (bytes: Buffer) => T | undefined;

/** Question and answer with one BMC over the shared socket; one question at a time. */
export class BmcChannel implements DatagramListener {
  readonly #hub: DatagramHub;
  readonly #clock: Clock;
  readonly #to: DatagramAddress;
  readonly #stop: () => void;
  readonly #sent = (error: Error | null): void => {
    if (error) this.#lastTrouble = error.message;
  };
  #question: Question<unknown> | null = null;
  #listener: ((bytes: Buffer) => boolean) | null = null;
  #lastTrouble: string | null = null;

  constructor(hub: DatagramHub, clock: Clock, address: string, port: number) {
    this.#hub = hub;
    this.#clock = clock;
    this.#to = { address, port, family: isIPv6(address) ? 'udp6' : 'udp4' };
    this.#stop = hub.listen(this.#to, this);
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
    const question = new Question(accept, signal);
    question.stopTimer = startTimer(this.#clock, time, () => this.#hub.onceRead(() => question.end(null)));
    // The closing of the driver comes through the hub: thousands of listeners of one signal would cost each other time.
    if (signal && signal !== this.#hub.closing) question.heedSignal();
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
    this.#hub.send(bytes, this.#to, this.#sent);
  }

  close(): void {
    this.#stop();
  }

  hear(datagram: Buffer): void {
    const question = this.#question;
    try {
      if (this.#listener?.(datagram)) return;
      question?.hear(datagram);
    } catch (error) {
      if (error instanceof MalformedPacket) this.#lastTrouble = error.message;
      else question?.fail(error instanceof Error ? error : new Error(String(error)));
    }
  }

  closing(): void {
    if (this.#question?.signal === this.#hub.closing) this.#question.fail(this.#hub.closing.reason as Error);
  }
}

/** One wait for an answer. */
class Question<T> {
  readonly answer: Promise<T | null>;
  readonly signal: AbortSignal | undefined;
  /** Ends the wait's timer. */
  stopTimer: (() => void) | null = null;
  readonly #accept: Acceptor<T>;
  #heeded: (() => void) | null = null;
  #resolve!: (value: T | null) => void;
  #reject!: (reason: Error) => void;
  #over = false;

  constructor(accept: Acceptor<T>, signal: AbortSignal | undefined) {
    this.#accept = accept;
    this.signal = signal;
    this.answer = new Promise<T | null>((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  /** Fails when the signal is aborted. */
  heedSignal(): void {
    this.#heeded = () => this.fail(this.signal!.reason as Error);
    this.signal!.addEventListener('abort', this.#heeded);
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
    this.stopTimer?.();
    if (this.#heeded) this.signal!.removeEventListener('abort', this.#heeded);
    return true;
  }
}
