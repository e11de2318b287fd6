import { milliseconds, type Clock, type Duration, type PowerState } from '../../plugin-api/index.ts';
import type { BmcHost, HostAction, HostBoot } from './bmc-host.ts';

export interface StandaloneHostOptions {
  readonly clock: Clock;
  /** How long the power takes to follow on and off. Default 50 ms. */
  readonly switchTime?: Duration;
  /** How long it stays off within a power cycle. Default 500 ms. */
  readonly cycleTime?: Duration;
  /** How long the OS takes to shut down. Default 300 ms. */
  readonly shutdownTime?: Duration;
  readonly power?: PowerState;
}

/** A host of nothing but a power state that follows its BMC after a while: for BMCs without a simulated machine behind. */
export class StandaloneHost implements BmcHost {
  readonly #clock: Clock;
  readonly #times: { readonly switch: number; readonly cycle: number; readonly shutdown: number };
  #power: PowerState;
  #pending: { readonly at: number; readonly power: PowerState; readonly boot: HostBoot | null }[] = [];
  readonly #boots: HostBoot[] = [];

  constructor(options: StandaloneHostOptions) {
    this.#clock = options.clock;
    this.#power = options.power ?? 'off';
    this.#times = {
      switch: options.switchTime ?? milliseconds(50),
      cycle: options.cycleTime ?? milliseconds(500),
      shutdown: options.shutdownTime ?? milliseconds(300),
    };
  }

  /** What each start booted from, in order. */
  get boots(): readonly HostBoot[] {
    this.#settle();
    return this.#boots;
  }

  power(): PowerState {
    this.#settle();
    return this.#power;
  }

  control(action: HostAction, boot: HostBoot): void {
    this.#settle();
    const now = this.#clock.monotonic();
    const times = this.#times;
    const off = (after: number) => ({ at: now + after, power: 'off', boot: null }) as const;
    const on = (after: number) => ({ at: now + after, power: 'on', boot }) as const;
    switch (action) {
      case 'on':
        this.#pending = [on(times.switch)];
        break;
      case 'off':
        this.#pending = [off(times.switch)];
        break;
      case 'soft':
        this.#pending = [off(times.shutdown)];
        break;
      case 'cycle':
        this.#pending = [off(times.switch), on(times.switch + times.cycle)];
        break;
      case 'reset':
        this.#boots.push(boot);
        break;
    }
  }

  /** Carries out what is due: without timers, so that a thousand hosts cost nothing. */
  #settle(): void {
    const now = this.#clock.monotonic();
    while (this.#pending[0] && this.#pending[0].at <= now) {
      const due = this.#pending.shift()!;
      this.#power = due.power;
      if (due.boot) this.#boots.push(due.boot);
    }
  }
}
