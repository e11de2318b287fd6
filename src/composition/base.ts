import type { Clock } from '../../plugin-api/index.ts';
import type { Config } from '../config/config.ts';
import type { Log } from '../kernel/log/log.ts';
import type { Metrics } from '../kernel/metrics/metrics.ts';

/** What is there before anything is opened. */
export interface Base {
  readonly config: Config;
  /** Those of the configuration, in the floor's own time. */
  readonly timings: Config['timings'];
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
}
