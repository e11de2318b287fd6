import { Command, InvalidArgumentError } from 'commander';
import { seconds } from '../../../plugin-api/index.ts';
import { formatDuration, parseDuration } from '../../kernel/clock/duration.ts';
import { SystemClock } from '../../kernel/clock/system-clock.ts';
import { Exit, exitCodes } from '../exit-code.ts';
import { table } from '../table.ts';
import { printable, type Terminal } from '../terminal.ts';
import type { PrunedView, TimelineEntryView, TimelinePageView } from './api-types.ts';
import { adminRun, adminVerb, type AdminOptions, type AdminRun } from './verb.ts';

interface TimelineOptions extends AdminOptions {
  readonly since?: number;
  readonly until?: number;
  readonly operation?: string;
  readonly limit: number;
  readonly follow?: true;
}

/** Largest page that the service gives. */
const pageSize = 500;
/** What has no transaction of its own is written a moment later than what came after it. */
const lateness = seconds(10);

/** `csbm timeline` */
export function timelineCommand(terminal: Terminal): Command {
  return adminVerb(new Command('timeline').argument('<machine>', 'its name or system id'))
    .option('--since <time>', 'only from then on: 2h, 3d, or 2026-11-22T10:00Z', moment)
    .option('--until <time>', 'only until then', moment)
    .option('--operation <id>', 'only what belongs to this operation')
    .option('--limit <n>', 'the latest so many', count, 200)
    .option('--follow', 'go on, and show what happens until Ctrl-C')
    .action(async (machine: string, options: TimelineOptions) => {
      const run = await adminRun(terminal, options);
      const document = await read(run, machine, options);
      if (!options.follow) {
        run.print(document, () => timelineText(document.entries, document.more));
        return;
      }
      await follow(run, machine, options, document);
    });
}

interface Document {
  readonly machine: TimelinePageView['machine'];
  /** The oldest first. */
  readonly entries: readonly TimelineEntryView[];
  /** Whether there is more before the first of them. */
  readonly more: boolean;
}

async function read({ client }: AdminRun, machine: string, options: TimelineOptions): Promise<Document> {
  const { since, until, operation, limit } = options;
  const entries: TimelineEntryView[] = [];
  let cursor: string | null = null;
  for (;;) {
    const query = new URLSearchParams({
      limit: String(Math.min(pageSize, limit - entries.length)),
      ...(since !== undefined && { since: String(since) }),
      ...(until !== undefined && { until: String(until) }),
      ...(operation !== undefined && { operation }),
      ...(cursor !== null && { cursor }),
    });
    const path = `/machines/${encodeURIComponent(machine)}/timeline?${query.toString()}`;
    const page: TimelinePageView = await client.get<TimelinePageView>(path);
    entries.push(...page.entries);
    cursor = page.next;
    if (cursor === null || entries.length >= limit)
      return { machine: page.machine, entries: entries.reverse(), more: cursor !== null };
  }
}

/** Asks again and again for what is new; prints an entry a line, with `--json` a JSON object a line. */
async function follow(
  run: AdminRun,
  machine: string,
  options: TimelineOptions,
  first: Document,
): Promise<void> {
  const clock = new SystemClock();
  const interrupted = run.terminal.interrupted();
  const { stdout } = run.terminal;
  // A step that runs is told once it is over.
  const told = new Set<string>();
  let newest = options.since ?? 0;
  const tell = (entries: readonly TimelineEntryView[]): void => {
    const fresh = entries.filter(({ id, outcome }) => outcome !== 'running' && !told.has(id));
    for (const entry of fresh) {
      told.add(entry.id);
      newest = Math.max(newest, entry.at);
    }
    if (fresh.length === 0) return;
    const lines = run.json ? fresh.map((entry) => JSON.stringify(entry)) : fresh.map(followLine);
    stdout.write(`${run.json ? lines.join('\n') : printable(lines.join('\n'))}\n`);
  };
  tell(first.entries);
  for (;;) {
    try {
      await clock.sleep(seconds(1), interrupted);
    } catch {
      throw new Exit(exitCodes.interrupted);
    }
    const since = Math.max(options.since ?? 0, newest - lateness);
    tell((await read(run, machine, { ...options, since, limit: pageSize })).entries);
  }
}

function timelineText(entries: readonly TimelineEntryView[], more: boolean): string {
  const text = table(
    ['AT', 'WHAT', 'TEXT', 'TOOK'],
    entries.map((entry) => [at(entry.at), what(entry), sentence(entry), took(entry)]),
  );
  return more ? `${text}\nThere is more before this: ask with --limit or --until.` : text;
}

function followLine(entry: TimelineEntryView): string {
  const time = took(entry);
  return `${at(entry.at)}  ${what(entry).padEnd(18)}  ${sentence(entry)}${time ? `  ${time}` : ''}`;
}

/** Kind and outcome in a few letters. */
function what({ kind, outcome, evidence }: TimelineEntryView): string {
  if (outcome === null) return kind;
  // It was told, and the device could not show it (law 3).
  const state = outcome === 'done' && evidence?.verified === false ? 'set' : outcome;
  return `${kind} ${state}`;
}

function sentence(entry: TimelineEntryView): string {
  const { text, before, after, evidence, error, operationId, kind, outcome, who } = entry;
  const change = before !== null || after !== null ? `: ${before ?? '?'} -> ${after ?? '?'}` : '';
  const proof = evidence ? `: ${evidence.summary}` : '';
  const place = error?.where ? `${error.where}: ` : '';
  const failure = error
    ? `: ${place}${error.what}${error.said ? `; it said: ${error.said}` : ''} [${error.code}]`
    : '';
  const by = who ? `, by ${who.principal} (${who.door})${who.reason ? `: ${who.reason}` : ''}` : '';
  const id = kind === 'operation' && outcome === 'begun' && operationId !== null ? ` [${operationId}]` : '';
  return `${text}${change}${proof}${failure}${by}${id}`;
}

function took({ took: time }: TimelineEntryView): string | null {
  return time === null ? null : formatDuration(time);
}

/** Wall time in UTC, to the millisecond: much happens in one second. */
function at(epoch: number): string {
  return new Date(epoch).toISOString().replace('T', ' ');
}

/** A moment, or how long ago it was. */
function moment(text: string): number {
  const ago = parseDuration(text);
  const time = ago === null ? Date.parse(text) : Date.now() - ago;
  if (Number.isNaN(time)) throw new InvalidArgumentError('write 2h, 3d, or 2026-11-22T10:00Z');
  return Math.max(0, Math.floor(time));
}

function count(text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value > 0 && value <= 100_000) return value;
  throw new InvalidArgumentError('write a whole number from 1 to 100000');
}

/** `csbm prune` */
export function pruneCommand(terminal: Terminal): Command {
  return adminVerb(new Command('prune'))
    .option('--dry-run', 'only count', false)
    .action(async (options: AdminOptions & { dryRun: boolean }) => {
      const { client, print } = await adminRun(terminal, options);
      const document = await client.call<PrunedView>('POST', `/prune${options.dryRun ? '?plan=1' : ''}`, {
        body: {},
      });
      print(document, () =>
        table(
          ['WHAT', options.dryRun ? 'WOULD GO' : 'REMOVED'],
          Object.entries(document.rows).map(([what, rows]) => [what, rows]),
        ),
      );
    });
}
