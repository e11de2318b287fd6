import { Command } from 'commander';
import { CodedError, type ErrorParts } from '../../../plugin-api/index.ts';
import { Exit, exitCodes } from '../exit-code.ts';
import { time } from '../table.ts';
import { printable, type Terminal } from '../terminal.ts';
import type { FindingView, SurveyView } from './api-types.ts';
import { adminRun, adminVerb, type AdminOptions } from './verb.ts';

interface DoctorOptions extends AdminOptions {
  readonly quick?: true;
}

/** One line of the answer. */
interface Line {
  readonly progress?: { readonly done: number; readonly of: number; readonly last: string };
  readonly report?: SurveyView;
  readonly error?: ErrorParts;
}

/** `csbm doctor` */
export function doctorCommand(terminal: Terminal): Command {
  return adminVerb(new Command('doctor'))
    .description(
      'ask every BMC and every switch, change nothing, and say in plain words what is unreachable, unsaved, drifted or stuck; exit code 0 = all is well, 1 = something was found',
    )
    .option('--quick', 'ask no BMC and no switch: only what the service knows already')
    .action((options: DoctorOptions) => doctor(terminal, options));
}

async function doctor(terminal: Terminal, options: DoctorOptions): Promise<void> {
  const { client, print } = await adminRun(terminal, options);
  const report = await take(
    client.lines(`/survey${options.quick ? '?quick=1' : ''}`, terminal.interrupted()),
    terminal,
  );
  const ok = report.findings.length === 0;
  print({ ok, ...report }, () => reportText(report));
  if (!ok) throw new Exit(exitCodes.failed);
}

async function take(lines: AsyncIterable<unknown>, terminal: Terminal): Promise<SurveyView> {
  let tenth = 0;
  for await (const line of lines as AsyncIterable<Line>) {
    if (line.error) throw new CodedError(line.error);
    if (line.report) return line.report;
    if (!line.progress) continue;
    const { done, of, last } = line.progress;
    // Ten lines at most, however many devices there are.
    if (Math.floor((done * 10) / of) === tenth) continue;
    tenth = Math.floor((done * 10) / of);
    terminal.stderr.write(printable(`${done} of ${of} read (${last})\n`));
  }
  throw new CodedError({
    code: 'service.unreachable',
    retry: 'later',
    what: 'the service broke off',
    remedy: 'ask again; see its log',
  });
}

function reportText({ bmcs, findings, others, switches, took }: SurveyView): string {
  const asked =
    bmcs + switches === 0
      ? 'no device was asked'
      : `${bmcs} BMC${bmcs === 1 ? '' : 's'} and ${switches} switch${switches === 1 ? '' : 'es'} were asked in ${(took / 1_000).toFixed(1)} s`;
  const count = findings.length === 0 ? 'nothing was found' : `${findings.length} found`;
  const elsewhere =
    others.length === 0
      ? []
      : [
          `links, certificates and disks of ${others.join(', ')} were not looked at: ask there too (csbm instance list)`,
        ];
  return [...findings.map(findingText), ...elsewhere, `${asked}: ${count}`].join('\n');
}

/** What and where, since when, what the device said, what to do. */
export function findingText({ code, remedy, said, since, what, where }: FindingView): string {
  const lines = [`! ${where}: ${what} [${code}]`];
  if (since !== null) lines.push(`    since:   ${time(since)!} at the earliest`);
  if (said !== null) lines.push(`    it said: ${said.replaceAll('\n', ' ')}`);
  lines.push(`    to do:   ${remedy}`, '');
  return lines.join('\n');
}
