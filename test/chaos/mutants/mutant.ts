import { fileURLToPath } from 'node:url';
import type { RunPlan } from '../run-plan.ts';

/** One change of the service's own text. */
export interface Edit {
  /** Module below the build, without its extension. */
  readonly file: string;
  /** Stands there exactly once, white space aside; no types in it, so that it is the same in sources and build. */
  readonly find: string;
  readonly replace: string;
}

/** A service that is broken on purpose: somebody must notice. */
export interface Mutant {
  readonly name: string;
  /** The law of the design that it breaks. */
  readonly law: string;
  /** What it does, or leaves undone. */
  readonly does: string;
  readonly edits: readonly Edit[];
  /** Such a mutant needs several instances of the service on a MariaDB to do harm; default one, on whatever is asked for. */
  readonly instances?: number;
  /** Only such a run can tell; default every run may. */
  readonly fits?: (plan: RunPlan) => boolean;
}

/** The environment in which a service starts as this mutant; null = as it is. */
export function mutantEnv(mutant: Mutant | null): Readonly<Record<string, string>> {
  if (!mutant) return {};
  const loader = new URL('./load-mutant.mjs', import.meta.url);
  return {
    NODE_OPTIONS: `${process.env['NODE_OPTIONS'] ?? ''} --import=${loader.href}`.trim(),
    CSBM_CHAOS_MUTANT: JSON.stringify(mutant.edits),
  };
}

/** The source of an edited module. */
export function sourceOf({ file }: Edit): string {
  return fileURLToPath(new URL(`../../../${file}.ts`, import.meta.url));
}
