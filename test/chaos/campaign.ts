import { ChaosStage, type ChaosStageOptions } from './chaos-stage.ts';
import { conduct, type RunResult } from './conduct.ts';

export interface CampaignOptions extends ChaosStageOptions {
  /** Of the first run; each next one has the next number. */
  readonly seed: number;
  /** No more runs than these are begun. */
  readonly most: number;
  /** Runs that are made in any case. */
  readonly least: number;
  /** Milliseconds after which no run is begun any more. */
  readonly time: number;
  /** Stages side by side. */
  readonly stages: number;
  /** Hears of each run as it ends. */
  readonly onRun: (result: RunResult) => void;
}

/** Many runs, on a few stages that are used again and again. Returns what came of each, in order of their ends. */
export async function campaign(options: CampaignOptions): Promise<readonly RunResult[]> {
  const { seed, most, least, time, stages, onRun } = options;
  const end = performance.now() + time;
  const results: RunResult[] = [];
  let begun = 0;
  const lane = async (): Promise<void> => {
    let stage: ChaosStage | null = null;
    try {
      while (begun < most && (begun < least || performance.now() < end)) {
        const drawn = seed + begun;
        begun += 1;
        stage ??= await ChaosStage.open(options);
        const result = await conduct(stage, drawn);
        results.push(result);
        onRun(result);
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
