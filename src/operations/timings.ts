import type { Duration } from '../../plugin-api/index.ts';

/** Every wait of the operations; all of them come from configuration (`timings`), so that a floor can run faster than life. */
export interface Timings {
  /** Until a hard power-off must be confirmed. */
  readonly powerOff: Duration;
  /** Until a power-on must be confirmed. */
  readonly powerOn: Duration;
  /** How long after a power cycle was accepted the power may still drop: only then is "on" believed again. */
  readonly cycleSettle: Duration;
  /** How long an OS gets to shut down after the ACPI request. */
  readonly softOff: Duration;
  /** From power-on to the first sign of life from the ramdisk. */
  readonly bootSeen: Duration;
  /** Silence of the ramdisk agent or the engine after which a phase has failed. */
  readonly deployStalled: Duration;
  /** Longest whole phase, by phase. */
  readonly commission: Duration;
  readonly deploy: Duration;
  readonly erase: Duration;
  /** Deadlines of operations whose caller names none. */
  readonly startDeadline: Duration;
  readonly stopDeadline: Duration;
  readonly destroyDeadline: Duration;
  /** Kept back from every deadline for the undo. */
  readonly undoBudget: Duration;
  /** An instance whose heartbeat stands still this long is declared gone. */
  readonly leaseTtl: Duration;
  readonly leaseHeartbeat: Duration;
  /** Pause between two looks at what other instances ask for. */
  readonly instanceLook: Duration;
  /** How long what a dead instance had sent to a switch may still take effect. */
  readonly wireSettle: Duration;
  /** How long a stop waits for operations to end by themselves. */
  readonly drain: Duration;
  /** How long a switch's queue collects work before a batch. */
  readonly switchBatchDelay: Duration;
  /** Longest wait for a batch on a switch. */
  readonly switchBatch: Duration;
  /** How long a session to a switch is kept open for the next batch. */
  readonly switchIdle: Duration;
  /** Pause between two looks at something that cannot wake us. */
  readonly pollInterval: Duration;
  /** First pause before a failed step is tried again; doubles each time. */
  readonly retryDelay: Duration;
}
