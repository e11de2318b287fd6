import type { Duration } from '../../../plugin-api/index.ts';

const units: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** A hundred years: what is longer is a mistake, and beyond what dates and databases take. */
const longest = 36_500 * 86_400_000;

/**
 * Reads `250ms`, `30s`, `5m`, `2h`, `1d`, or returns null. Whole milliseconds, because Node's servers and timers take no others, and
 * 4.35 minutes are 260999.99999999997 ms.
 */
export function parseDuration(text: string): Duration | null {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(text.trim());
  if (!match) return null;
  const time = Math.round(Number(match[1]) * units[match[2]!]!);
  return time <= longest ? (time as Duration) : null;
}

/** `1.2 s`, `45 ms`, `3 m 20 s`: for people. */
export function formatDuration(time: number): string {
  if (time < 1_000) return `${Math.round(time)} ms`;
  if (time < 60_000) return `${(time / 1_000).toFixed(1)} s`;
  const minutes = Math.floor(time / 60_000);
  return `${minutes} m ${Math.round((time - minutes * 60_000) / 1_000)} s`;
}
