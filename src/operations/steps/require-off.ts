import { ServiceError } from '../../kernel/errors/service-error.ts';
import type { StepRun } from '../journal/step.ts';

/** Refuses to go on unless the BMC says off at this moment: ports move only under a machine that is off (law 4). */
export async function requireOff(run: StepRun): Promise<void> {
  const machine = await run.machine();
  if ((await run.world.power.state(machine, run.signal)) === 'off') return;
  throw new ServiceError({
    code: 'machine.state',
    retry: 'never',
    what: 'the machine is on; its ports may move only while it is off',
    where: machine.hostname,
    remedy: 'somebody switched it on behind our back: find out who',
  });
}
