import type { JsonObject } from '../../../plugin-api/index.ts';
import type { OperationRecord } from '../../core/storage/journal-records.ts';
import { ServiceError } from '../../kernel/errors/service-error.ts';
import type { World } from '../world.ts';
import type { StepList, StepRun } from './step.ts';

/** What one step would do. */
export interface PlanSection {
  readonly step: string;
  readonly lines: readonly string[];
}

/**
 * Walks a step list without effect (law 8): pure steps run for real, since they only read and decide; the others tell what
 * they would do with what the pure ones found.
 */
export async function planOperation(
  world: World,
  list: StepList,
  operation: OperationRecord,
): Promise<readonly PlanSection[]> {
  let context: JsonObject = {};
  const sections: PlanSection[] = [];
  for (const step of list.steps) {
    if (step.applies && !step.applies(context, operation.input)) continue;
    const run: StepRun = {
      world,
      operation,
      context,
      signal: AbortSignal.timeout(world.timings.switchBatch),
      machine: async () => {
        const machine = await world.storage.run((tx) => tx.machines.find(operation.machineId));
        if (machine) return machine;
        throw new ServiceError({
          code: 'machine.unknown',
          what: `there is no machine ${operation.machineId}`,
        });
      },
      progress: () => undefined,
      pause: (time) => world.clock.sleep(time),
    };
    if (step.pure) {
      const outcome = await step.run(run);
      context = { ...context, ...(outcome.context as JsonObject | undefined) };
      sections.push({ step: step.name, lines: [outcome.evidence.summary] });
    } else {
      sections.push({ step: step.name, lines: (await step.plan?.(run)) ?? [] });
    }
  }
  return sections;
}
