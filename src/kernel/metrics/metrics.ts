import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';

/** The service's metrics, in one registry of its own so that two services in one process do not mix. */
export class Metrics {
  readonly registry = new Registry();
  readonly operations = new Counter({
    name: 'csbm_operations_total',
    help: 'Operations ended, by kind and outcome',
    labelNames: ['kind', 'outcome'] as const,
    registers: [this.registry],
  });
  readonly stepSeconds = new Histogram({
    name: 'csbm_step_seconds',
    help: 'Time of journal steps, by step',
    labelNames: ['step', 'outcome'] as const,
    buckets: [0.01, 0.05, 0.2, 1, 5, 20, 60, 300, 1800],
    registers: [this.registry],
  });
  readonly agentLinks = new Gauge({
    name: 'csbm_agent_links',
    help: 'Links to management servers, by state',
    labelNames: ['state'] as const,
    registers: [this.registry],
  });
  readonly switchBatches = new Counter({
    name: 'csbm_switch_batches_total',
    help: 'Batches sent to switches, by outcome',
    labelNames: ['outcome'] as const,
    registers: [this.registry],
  });
  readonly alarms = new Counter({
    name: 'csbm_alarms_total',
    help: 'Things a person should look at, by code',
    labelNames: ['code'] as const,
    registers: [this.registry],
  });

  constructor(processMetrics = false) {
    if (processMetrics) collectDefaultMetrics({ register: this.registry });
  }

  text(): Promise<string> {
    return this.registry.metrics();
  }
}
