import type { ErrorParts } from '../../../plugin-api/index.ts';
import { ServiceError } from './service-error.ts';

/** A refusal that ends by itself: doors tell it with the time to wait, as their protocol has it. */
export class Throttled extends ServiceError {
  /** Whole seconds, at least one. */
  readonly retryAfter: number;

  /** @param wait milliseconds */
  constructor(
    code: 'access.throttled' | 'request.too-many' | 'service.overloaded',
    wait: number,
    parts: Pick<ErrorParts, 'what'> & Partial<Pick<ErrorParts, 'remedy'>>,
  ) {
    const retryAfter = Math.max(1, Math.ceil(wait / 1_000));
    super({ code, remedy: `try again in ${retryAfter} s`, ...parts });
    this.retryAfter = retryAfter;
  }
}
