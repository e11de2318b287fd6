import type { Clock } from './clock.ts';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** What a driver gets from its host: time and a log. Secrets are never handed to the log. */
export interface DeviceContext {
  readonly clock: Clock;
  /**
   * Asked right before each thing that is sent to change a device: throws where another process may have taken the device over,
   * and then nothing is sent. Absent where there is no other.
   */
  mayChange?(): void;
  log(level: LogLevel, message: string, fields?: Readonly<Record<string, unknown>>): void;
}
