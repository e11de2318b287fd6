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
  readonly agentPings = new Counter({
    name: 'csbm_agent_pings_total',
    help: 'Pings sent to management servers; csbm_agent_ping_seconds counts those that were answered',
    registers: [this.registry],
  });
  readonly agentPingSeconds = new Histogram({
    name: 'csbm_agent_ping_seconds',
    help: 'Time from a ping to the answer of the management server',
    buckets: [0.005, 0.02, 0.1, 0.5, 1, 5, 20, 60],
    registers: [this.registry],
  });
  readonly agentCertificateExpiry = new Gauge({
    name: 'csbm_agent_certificate_expiry_seconds',
    help: 'When our certificate towards the management servers expires, in seconds since 1970; 0 = there is none',
    registers: [this.registry],
  });
  readonly switchBatches = new Counter({
    name: 'csbm_switch_batches_total',
    help: 'Batches sent to switches, by outcome',
    labelNames: ['outcome'] as const,
    registers: [this.registry],
  });
  readonly powerPolls = new Counter({
    name: 'csbm_power_polls_total',
    help: 'Readings of power in the background, by outcome (read, or the error code)',
    labelNames: ['outcome'] as const,
    registers: [this.registry],
  });
  readonly polledBmcs = new Gauge({
    name: 'csbm_polled_bmcs',
    help: 'BMCs by state of their circuit breaker: closed, open (probed now and then), blocked (refused our login)',
    labelNames: ['state'] as const,
    registers: [this.registry],
  });
  readonly powerOutOfBand = new Counter({
    name: 'csbm_power_changes_out_of_band_total',
    help: 'Changes of power that nobody commanded here',
    registers: [this.registry],
  });
  readonly quarantined = new Gauge({
    name: 'csbm_quarantined',
    help: 'Machines, ports, switches and BMCs in quarantine, by kind',
    labelNames: ['kind'] as const,
    registers: [this.registry],
  });
  readonly refused = new Counter({
    name: 'csbm_refused_total',
    help: 'Connections and requests that a listener refused, by reason; docs/hardening.md',
    labelNames: ['listener', 'reason'] as const,
    registers: [this.registry],
  });
  readonly alarms = new Counter({
    name: 'csbm_alarms_total',
    help: 'Things a person should look at, by code',
    labelNames: ['code'] as const,
    registers: [this.registry],
  });

  readonly timelineLost = new Counter({
    name: 'csbm_timeline_events_lost_total',
    help: 'Events of machines that were not written down, because too many waited for the database',
    registers: [this.registry],
  });
  readonly pruned = new Counter({
    name: 'csbm_pruned_rows_total',
    help: 'Rows that were removed because of their age, by what they were',
    labelNames: ['what'] as const,
    registers: [this.registry],
  });
  readonly pruneSeconds = new Histogram({
    name: 'csbm_prune_unit_seconds',
    help: 'Time of the units of work that remove old rows: how long one of them may hold up others',
    buckets: [0.002, 0.005, 0.02, 0.1, 0.5, 2],
    registers: [this.registry],
  });
  readonly pruneLast = new Gauge({
    name: 'csbm_prune_last_success_seconds',
    help: 'When old rows were last removed completely, in seconds since 1970; 0 = not yet',
    registers: [this.registry],
  });

  constructor(processMetrics = false) {
    if (processMetrics) collectDefaultMetrics({ register: this.registry });
  }

  text(): Promise<string> {
    return this.registry.metrics();
  }
}
