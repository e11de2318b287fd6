import { campaign, type CampaignOptions } from '../campaign.ts';
import type { RunResult } from '../conduct.ts';
import type { Mutant } from './mutant.ts';

/** What became of one mutant. */
export interface Hunt {
  readonly mutant: Mutant;
  /** Runs until it was caught, the last one included. */
  readonly runs: number;
  /** The seed that caught it, and what it broke there; null = it survived. */
  readonly caught: { readonly seed: number; readonly violations: readonly string[] } | null;
  readonly seconds: number;
}

export interface HuntOptions extends Pick<CampaignOptions, 'engine' | 'store' | 'instances' | 'seed'> {
  /** Runs after which a mutant counts as a survivor. */
  readonly most: number;
}

/** Runs from a seed on, the service being a mutant, until one breaks something. */
export async function hunt(mutant: Mutant, options: HuntOptions): Promise<Hunt> {
  const begin = performance.now();
  let caught: RunResult | null = null;
  const results = await campaign({
    ...options,
    mutant,
    ...(mutant.fits && { fits: mutant.fits }),
    brief: true,
    least: 0,
    time: Infinity,
    stages: 1,
    onRun: (result) => {
      if (result.violations.length > 0) caught ??= result;
    },
    enough: (result) => result.violations.length > 0,
  });
  const found = caught as RunResult | null;
  return {
    mutant,
    runs: results.length,
    caught: found && { seed: found.seed, violations: found.violations },
    seconds: (performance.now() - begin) / 1_000,
  };
}
