import type { JsonObject } from '../../../plugin-api/index.ts';
import type { OperationRecord } from '../../core/storage/journal-records.ts';
import { requireMachine } from '../machine-state.ts';
import type { World } from '../world.ts';
import type { StepList, StepRun } from './step.ts';

/** What one step would do. */
export interface PlanSection {
  readonly step: string;
  readonly lines: readonly string[];
}

/**
 * Walks a step list without effect (law 8): steps that only read and decide run for real; the others tell what
 * they would do with what those found.
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
      machine: () => world.storage.run((tx) => requireMachine(tx, operation.machineId)),
      progress: () => undefined,
      pause: (time) => world.clock.sleep(time),
    };
    if (step.noIntent && !step.plan) {
      const outcome = await step.run(run);
      context = { ...context, ...(outcome.context as JsonObject | undefined) };
      sections.push({ step: step.name, lines: [outcome.evidence.summary] });
    } else {
      sections.push({ step: step.name, lines: (await step.plan?.(run)) ?? [] });
    }
  }
  return sections;
}
