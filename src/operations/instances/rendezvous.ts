import { createHash } from 'node:crypto';

/**
 * Who of the candidates should have something, by rendezvous hashing (Thaler, Ravishankar 1998): everybody who knows the same
 * candidates says the same, and one that comes or goes moves only what it gets or had. Null without candidates.
 */
export function rendezvous(name: string, candidates: readonly string[]): string | null {
  let best: string | null = null;
  let highest = '';
  for (const candidate of candidates) {
    const weight = createHash('sha256').update(`${candidate}\0${name}`).digest('hex');
    if (best !== null && weight <= highest) continue;
    best = candidate;
    highest = weight;
  }
  return best;
}
