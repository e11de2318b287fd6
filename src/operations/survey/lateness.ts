import { formatDuration } from '../../kernel/clock/duration.ts';
import type { Timings } from '../timings.ts';
import type { ActiveOperation } from './stored-state.ts';

export interface Lateness {
  readonly what: string;
  readonly since: number;
  readonly said: string | null;
}

/**
 * Why an active operation counts as late, or null: past its deadline; a machine that installs, erases or boots without a sign of
 * life for a good part of the time after which that fails; or any other step that lasts longer than the longest wait for a device.
 * @param now epoch milliseconds
 */
export function lateness(
  { operation, step, boot }: ActiveOperation,
  timings: Timings,
  now: number,
): Lateness | null {
  const began = step?.startedAt ?? operation.createdAt;
  const waitsFor = step?.progress?.activity ?? null;
  const at = step ? `at ${step.direction === 'undo' ? 'the undo of ' : ''}${step.name}` : 'not begun';
  const told = (what: string, since: number): Lateness => ({
    what: `${at} for ${formatDuration(now - began)}${step && step.attempt > 1 ? `, attempt ${step.attempt}` : ''}: ${what}`,
    since,
    said: waitsFor ?? boot?.activity ?? null,
  });
  if (now > operation.deadlineAt + timings.undoBudget) {
    const over = formatDuration(now - operation.deadlineAt);
    return told(`it should have ended ${over} ago`, operation.deadlineAt);
  }
  const phase = /^(commission|deploy|erase)\.wait$/.exec(step?.name ?? '')?.[1] as
    'commission' | 'deploy' | 'erase' | undefined;
  if (phase === undefined || step?.state !== 'intent') {
    const usual = Math.max(timings.powerOff, timings.powerOn, timings.softOff, timings.switchBatch);
    return now - began > usual ? told('no step should take so long', began) : null;
  }
  if (!boot) return now - began > timings[phase] / 2 ? told('the engine is not done yet', began) : null;
  const lastSign = Math.max(boot.lastSeen ?? 0, began);
  // A server takes minutes to come up; the ramdisk reports every few seconds.
  const patience = boot.lastSeen === null ? timings.bootSeen / 2 : timings.deployStalled / 5;
  if (now - lastSign <= patience) return null;
  return told(
    boot.lastSeen === null
      ? 'the machine has not asked for its boot'
      : `no sign of life from the machine for ${formatDuration(now - lastSign)}`,
    lastSign,
  );
}
