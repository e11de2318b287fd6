import type { Asker } from '../../core/access/principal.ts';
import type { MachineId } from '../../core/machine/machine.ts';
import type { Operations } from '../../operations/operations.ts';
import type { MaasAction } from './handler.ts';
import { asMaasRefusal } from './maas-errors.ts';

/** Operations of the API that command a machine. */
const commands: ReadonlySet<string | null> = new Set([
  'deploy',
  'release',
  'commission',
  'abort',
  'power_on',
  'power_off',
  'power_cycle',
  'mark_broken',
  'mark_fixed',
]);

/** The action, whose answer the timeline of its machine tells, where it commands one. */
export function answered(operations: Pick<Operations, 'answering'>, action: MaasAction): MaasAction {
  const { op } = action;
  if (action.method !== 'POST' || op === null || !commands.has(op)) return action;
  return {
    ...action,
    handle: (call) =>
      answering(
        operations,
        op,
        call.param('system_id'),
        call.user.asker(call.fields.get('comment')),
        async () => action.handle(call),
      ),
  };
}

/** Does something about a command, and tells the machine's timeline what is answered. */
export function answering<T>(
  operations: Pick<Operations, 'answering'>,
  command: string,
  machineId: string,
  requester: Asker,
  work: () => Promise<T>,
): Promise<T> {
  return operations.answering({ command, machineId: machineId as MachineId, requester }, work, (outcome) => {
    if ('value' in outcome) return { text: '200' };
    const refusal = asMaasRefusal(outcome.thrown);
    // Who may not know of the machine leaves no trace there.
    return refusal.status === 404
      ? null
      : { text: `${refusal.status}, ${refusal.message}`, operationId: null };
  });
}
