import type { Step, StepContext, StepList } from '../../src/operations/journal/step.ts';

/** Where a crash may cut a step on its way forward: right after its intent, and after its effect before the outcome is written. */
export function stepBoundaries<C extends StepContext>(
  { name }: Pick<StepList<C>, 'name'>,
  step: Pick<Step<C>, 'name' | 'noIntent'>,
): readonly string[] {
  const effect = `${name}:${step.name}:effect`;
  return step.noIntent ? [effect] : [`${name}:${step.name}:intent`, effect];
}
