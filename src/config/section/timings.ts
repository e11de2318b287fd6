import { z } from 'zod';
import type { Duration } from '../../../plugin-api/index.ts';
import { duration, factor } from '../setting.ts';

/** How often an unchanged heartbeat must fit into the time after which a lease is taken over. */
const heartbeatsPerLease = 3;

export const timingsSection = z
  .strictObject({
    scale: factor('Divides every other time here: 20 = twenty times faster, for a simulated floor', 1),
    powerOff: duration('A hard power-off is confirmed within', '1m'),
    powerOn: duration('A power-on is confirmed within', '1m'),
    cycleSettle: duration('After a power cycle was accepted the power may still drop for', '10s'),
    softOff: duration('The operating system has this long to shut down before the hard power-off', '2m'),
    bootSeen: duration('A machine that was powered on asks the boot service within', '10m'),
    deployStalled: duration('An install or erase without sign of life from the machine fails after', '10m'),
    commission: duration('A commissioning takes at most', '20m'),
    deploy: duration('An install takes at most', '1h'),
    erase: duration('An erase takes at most; a full erase of large disks takes a day', '48h'),
    startDeadline: duration(
      "A Start whose command names no wait ends within; below the 30 minutes of CloudStack's setting wait",
      '28m',
    ),
    stopDeadline: duration('The same for a Stop', '10m'),
    destroyDeadline: duration('The same for a Destroy; the erase may go on after its answer', '20m'),
    undoBudget: duration('Part of every deadline that is kept for undoing', '3m'),
    leaseTtl: duration(
      'An instance that is silent this long is declared gone, and its work taken over',
      '15s',
    ),
    leaseHeartbeat: duration('How often an instance says that it is alive', '3s'),
    instanceLook: duration('With several instances: how often each looks for what others ask of it', '250ms'),
    wireSettle: duration(
      'What an instance had sent to a switch before it died may still take effect for; its successor waits so long',
      '5s',
    ),
    drain: duration('At a stop, operations under way may end by themselves for', '20s'),
    switchBatchDelay: duration(
      'How long requests gather for the next batch while a switch is at work; the first begins at once',
      '200ms',
    ),
    switchBatch: duration('A batch on a switch takes at most', '2m'),
    switchIdle: duration('A session to a switch is kept open for the next batch for', '20s'),
    tlsCheck: duration('How often certificate files of listeners are looked at for a change', '10s'),
    pollInterval: duration('How often a device that is changing is read', '3s'),
    retryDelay: duration(
      'First wait before a step that may be repeated is repeated; doubled each time',
      '2s',
    ),
  })
  .superRefine((timings, context) => {
    const complain = (key: keyof typeof timings, what: string, message: string): void => {
      context.addIssue({ code: 'custom', path: [key], params: { what }, message });
    };
    if (timings.leaseHeartbeat * heartbeatsPerLease > timings.leaseTtl) {
      complain(
        'leaseHeartbeat',
        'is too slow for leaseTtl: a living holder would lose its lease',
        `make leaseTtl at least ${heartbeatsPerLease} times leaseHeartbeat`,
      );
    }
    for (const deadline of deadlines) {
      if (timings[deadline] <= timings.undoBudget) {
        complain(deadline, 'leaves no time besides undoBudget', 'make it longer than undoBudget');
      }
    }
  });

const deadlines = ['startDeadline', 'stopDeadline', 'destroyDeadline'] as const;

export type Timings = z.output<typeof timingsSection>;

/** The times with the scale applied (its own is then 1): whole milliseconds, and at least one. */
export function scaled(timings: Timings): Timings {
  const { scale, ...times } = timings;
  const faster = Object.entries(times).map(([key, time]) => [
    key,
    Math.max(1, Math.round(time / scale)) as Duration,
  ]);
  return { scale: 1, ...(Object.fromEntries(faster) as typeof times) };
}
