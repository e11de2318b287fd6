import { ChaosStage, type ChaosStageOptions } from './chaos-stage.ts';
import { conduct, planOf, type RunResult } from './conduct.ts';
import type { RunPlan } from './run-plan.ts';

export interface CampaignOptions extends ChaosStageOptions {
  /** Of the first run; each next one has the next number. */
  readonly seed: number;
  /** No more runs than these are begun. */
  readonly most: number;
  /** Runs that are made in any case. */
  readonly least: number;
  /** Milliseconds after which no run is begun any more. */
  readonly time: number;
  /** A run ends with the first thing that is wrong. */
  readonly brief?: boolean;
  /** Stages side by side. */
  readonly stages: number;
  /** Hears of each run as it ends. */
  readonly onRun: (result: RunResult) => void;
  /** Seeds whose runs draw something else are passed over; default none is. */
  readonly fits?: (plan: RunPlan) => boolean;
  /** No run is begun after such a one; default one is. */
  readonly enough?: (result: RunResult) => boolean;
}

/** Many runs, on a few stages that are used again and again. Returns what came of each, in order of their ends. */
export async function campaign(options: CampaignOptions): Promise<readonly RunResult[]> {
  const { seed, most, least, time, stages, brief = false, onRun, fits, enough } = options;
  const end = performance.now() + time;
  const results: RunResult[] = [];
  let begun = 0;
  let next = seed - 1;
  let over = false;
  const lane = async (): Promise<void> => {
    let stage: ChaosStage | null = null;
    try {
      while (!over && begun < most && (begun < least || performance.now() < end)) {
        begun += 1;
        do next += 1;
        while (fits && !fits(planOf(next, options)));
        const drawn = next;
        stage ??= await ChaosStage.open(options);
        const result = await conduct(stage, drawn, { brief });
        results.push(result);
        onRun(result);
        over ||= enough?.(result) ?? false;
        if (result.violations.length === 0) continue;
        // What it left may be anything: the next run is not to suffer for it.
        await stage.close();
        stage = null;
      }
    } finally {
      await stage?.close();
    }
  };
  await Promise.all(Array.from({ length: Math.min(stages, most) }, lane));
  return results;
}
