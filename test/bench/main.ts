/**
 * Runs the benches, one after the other: `make bench`. `ONLY=name[,name]` picks some, `--json` prints the figures as JSON, `STRICT=1`
 * takes a bench that cannot run here for a failure. Ends with 1 when a target was missed.
 */
import { agentLinks } from './agent-links.ts';
import { BenchSkipped, isReached, type Bench, type Figure } from './bench.ts';
import { deploySpeed } from './deploy-speed.ts';
import { imageServing } from './image-serving.ts';
import { ipmiStatus } from './ipmi-status.ts';
import { maasApi } from './maas-api.ts';
import { ownShare } from './own-share.ts';
import { portMoves } from './port-moves.ts';
import { powerPolling } from './power-polling.ts';
import { startsInFlight } from './starts-in-flight.ts';

const benches: readonly Bench[] = [
  agentLinks,
  imageServing,
  ipmiStatus,
  powerPolling,
  deploySpeed,
  maasApi,
  ownShare,
  startsInFlight,
  portMoves,
];

interface Report {
  readonly name: string;
  readonly compares: string;
  readonly skipped: string | null;
  readonly seconds: number;
  readonly figures: readonly (Figure & { readonly reached: boolean })[];
}

const json = process.argv.includes('--json');
const only = (process.env['ONLY'] ?? '').split(/[\s,]+/).filter((name) => name !== '');
const unknown = only.filter((name) => !benches.some((bench) => bench.name === name));
if (unknown.length > 0) {
  process.stderr.write(
    `no bench is called ${unknown.join(', ')}; there are: ${benches.map((bench) => bench.name).join(', ')}\n`,
  );
  process.exit(2);
}

const reports: Report[] = [];
for (const bench of benches.filter(({ name }) => only.length === 0 || only.includes(name))) {
  if (!json) process.stdout.write(`${bench.name}: ${bench.compares}\n`);
  const report = await runBench(bench);
  reports.push(report);
  if (!json) process.stdout.write(`${asTable(report)}\n`);
}
if (json) process.stdout.write(`${JSON.stringify(reports, null, 2)}\n`);
const missed = reports.some(({ figures }) => figures.some(({ reached }) => !reached));
const skipped = reports.some((report) => report.skipped !== null);
if (missed || (skipped && process.env['STRICT'] === '1')) process.exitCode = 1;

async function runBench(bench: Bench): Promise<Report> {
  const { name, compares } = bench;
  const began = performance.now();
  const seconds = (): number => Math.round((performance.now() - began) / 1_000);
  try {
    const figures = (await bench.run()).map((figure) => ({ ...figure, reached: isReached(figure) }));
    return { name, compares, skipped: null, seconds: seconds(), figures };
  } catch (error) {
    if (!(error instanceof BenchSkipped)) throw error;
    return { name, compares, skipped: error.message, seconds: seconds(), figures: [] };
  }
}

function asTable({ skipped, figures, seconds }: Report): string {
  if (skipped !== null) return `  skipped: ${skipped}\n`;
  const rows = [
    ['', 'csbm', 'reference', 'ratio', 'target', ''],
    ...figures.map((figure) => [
      figure.what,
      figure.ours,
      figure.reference,
      Number.isNaN(figure.ratio) ? '-' : figure.ratio.toFixed(2),
      shownTarget(figure),
      figure.target === null ? '' : figure.reached ? 'reached' : 'MISSED',
    ]),
  ];
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  const lines = rows.map((row) => `  ${row.map((cell, i) => cell.padEnd(widths[i]!)).join('  ')}`.trimEnd());
  return `${lines.join('\n')}\n  (${seconds} s)\n`;
}

function shownTarget({ target }: Figure): string {
  if (target === null) return '-';
  return 'atLeast' in target ? `>= ${target.atLeast}` : `<= ${target.atMost}`;
}
