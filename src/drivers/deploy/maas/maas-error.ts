import { DeviceError, type DeviceCode, type Retry } from '../../../../plugin-api/index.ts';

interface MaasErrorParts {
  readonly code: DeviceCode;
  readonly what: string;
  readonly where: string;
  readonly said?: string | undefined;
  readonly retry?: Retry | undefined;
  readonly remedy?: string | undefined;
  readonly cause?: unknown;
  /** HTTP status of the answer; null = there was none. */
  readonly status: number | null;
  /** Whether MAAS may have done what was asked for, although it did not say so. */
  readonly outcomeUnknown?: boolean;
}

/** A failed call to an upstream MAAS. */
export class MaasError extends DeviceError {
  readonly status: number | null;
  readonly outcomeUnknown: boolean;

  constructor({ status, outcomeUnknown = false, retry, ...parts }: MaasErrorParts) {
    super({ ...parts, ...(retry && { retry }) });
    this.status = status;
    this.outcomeUnknown = outcomeUnknown;
  }
}

/** Whether the object that was asked for is not there. */
export function isGone(thrown: unknown): boolean {
  return thrown instanceof MaasError && thrown.status === 404;
}

/** Whether it is MAAS that cannot be asked now, and not an answer. */
export function isOutage(thrown: unknown): thrown is MaasError {
  return thrown instanceof MaasError && (thrown.code === 'maas.unreachable' || thrown.code === 'maas.busy');
}
