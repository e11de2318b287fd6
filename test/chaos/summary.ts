import type { RunResult } from './conduct.ts';
import { faultKinds } from './faults/index.ts';

/** A run that broke something: what, and what a person needs to find out why. */
export function reportOf({ seed, timeline, violations }: RunResult): string {
  return `${timeline}\n\nSEED=${seed} broke:\n  ${violations.join('\n  ')}\nAgain: make chaos SEED=${seed}\n\n`;
}

/** What a campaign came to, as tables: faults by outcome, commands by outcome, kills and time. */
export function summary(results: readonly RunResult[], seconds: number): string {
  const bad = results.filter(({ violations }) => violations.length > 0);
  const faults = faultKinds.flatMap(({ name }) => {
    const runs = results.filter((one) => one.faults.includes(name));
    if (runs.length === 0) return [];
    const sent = runs.flatMap((one) => one.sent);
    const count = (outcome: string) => sent.filter((one) => one.outcome === outcome).length;
    return [
      [
        name,
        runs.length,
        count('ok'),
        count('refused'),
        count('lost'),
        runs.filter((one) => bad.includes(one)).length,
      ],
    ];
  });
  const asks = [...new Set(results.flatMap(({ sent }) => sent.map(({ ask }) => ask)))].map((ask) => {
    const sent = results.flatMap((one) => one.sent.filter((two) => two.ask === ask));
    const count = (outcome: string) => sent.filter((one) => one.outcome === outcome).length;
    return [ask, sent.length, count('ok'), count('refused'), count('lost')];
  });
  const calls = [...new Set(results.flatMap((one) => one.calls.map(({ ask }) => ask)))].map((ask) => {
    const made = results.flatMap((one) => one.calls.filter((two) => two.ask === ask));
    const count = (outcome: string) => made.filter((one) => one.outcome === outcome).length;
    return [`MAAS: ${ask}`, made.length, count('ok'), count('refused'), count('lost')];
  });
  const kills = results.reduce((sum, one) => sum + one.kills, 0);
  const longest = Math.max(0, ...results.map((one) => one.seconds));
  const drawn = results.reduce((sum, one) => sum + one.faults.length, 0);
  const end =
    `${results.length} runs, ${drawn} faults, ${asks.reduce((sum, [, n]) => sum + Number(n), 0)} commands, ${kills} kills -9 of the service; ` +
    `${seconds.toFixed(0)} s, the longest run ${longest.toFixed(1)} s; ${bad.length} runs with a violation` +
    (bad.length > 0 ? `: ${bad.map(({ seed }) => `SEED=${seed}`).join(' ')}` : '');
  return [
    '',
    ...table(['fault', 'runs', 'yes', 'no', 'lost', 'violations'], faults),
    '',
    ...table(['command', 'sent', 'yes', 'no', 'lost'], [...asks, ...calls]),
    '',
    end,
    '',
  ].join('\n');
}

/** Rows in columns, numbers to the right. */
export function table(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string[] {
  const all = [head, ...rows].map((row) => row.map(String));
  const widths = head.map((_, column) => Math.max(...all.map((row) => row[column]!.length)));
  return all.map((row) =>
    row
      .map((cell, n) =>
        /^[\d.]+$/.test(all[1]?.[n] ?? '') ? cell.padStart(widths[n]!) : cell.padEnd(widths[n]!),
      )
      .join('  ')
      .trimEnd(),
  );
}
