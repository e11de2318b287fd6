import { deviceCodes } from '../../plugin-api/device-error.ts';
import { CodedError, type Retry } from '../../plugin-api/coded-error.ts';
import { servedCommands } from '../../src/api/cloudstack-agent/command-table.ts';
import { servedLinkCommands } from '../../src/api/cloudstack-agent/link-commands.ts';
import { stopRetry } from '../../src/api/cloudstack-agent/stop-retry.ts';
import { roles } from '../../src/core/access/principal.ts';
import { actions, isWhole, rights } from '../../src/core/access/rights.ts';
import { machineTransitions, type MachineState } from '../../src/core/machine/machine.ts';
import type { OperationKind } from '../../src/core/storage/journal-records.ts';
import { quirks } from '../../src/drivers/power/ipmi/quirks.ts';
import { ipmiSettings } from '../../src/drivers/power/ipmi/ipmi-settings.ts';
import { force10Settings } from '../../src/drivers/switch/force10-cli/index.ts';
import { serviceCodes } from '../../src/kernel/errors/service-error.ts';
import { arbitrate, type Contender } from '../../src/operations/arbitration.ts';
import { commission } from '../../src/operations/commission.ts';
import { destroy } from '../../src/operations/destroy.ts';
import { erase } from '../../src/operations/erase.ts';
import { plugNic, unplugNic } from '../../src/operations/nics.ts';
import { reboot } from '../../src/operations/reboot.ts';
import { startFirst, startKnown } from '../../src/operations/start.ts';
import { stop } from '../../src/operations/stop.ts';
import { findingCodes } from '../../src/operations/survey/finding.ts';
import { maasCompatibility } from './maas-compatibility.ts';
import { stepTexts, type StepText } from './step-texts.ts';

/** Every failure code that can meet an operator, from both tables. */
export const failureCodes: Readonly<
  Record<string, { readonly retry: Retry; readonly meaning: string; readonly remedy: string }>
> = { ...deviceCodes, ...serviceCodes };

/** What the pages show of a step list. */
interface ShownList {
  readonly name: string;
  readonly cancellable: boolean;
  readonly onFailure: 'undo' | 'stand';
  readonly steps: readonly {
    readonly name: string;
    readonly kind: 'checkable' | 'at-most-once';
    readonly undo: object;
  }[];
}

const stepLists: readonly ShownList[] = [
  commission,
  startFirst,
  startKnown,
  stop,
  reboot,
  plugNic,
  unplugNic,
  destroy,
  erase,
];

/** The parts of the pages that are made from code, by name; a page takes one in between two comments that name it. */
export function generatedParts(): ReadonlyMap<string, string> {
  return new Map([
    ['arbitration', arbitrationTable()],
    ['machine-states', machineStates()],
    ['failures', failureTables()],
    ['findings', findingTable()],
    ['rights', rightsTable()],
    ['maas-compatibility', maasCompatibility()],
    ['stop-retry', stopRetryList()],
    ['agent-commands', agentCommandTable()],
    ['force10-settings', settingsTable(force10Settings.shape, force10Settings.parse({}))],
    ['ipmi-quirks', quirkTable()],
    ['ipmi-settings', settingsTable(ipmiSettings.unwrap().shape, ipmiSettings.parse(undefined))],
    ...stepLists.map((list): [string, string] => [`steps-${list.name}`, stepTable(list)]),
  ]);
}

function findingTable(): string {
  return table(
    ['Code', 'Meaning', 'What to do'],
    Object.entries(findingCodes).map(([code, { meaning, remedy }]) => [`\`${code}\``, meaning, remedy]),
  );
}

function quirkTable(): string {
  return table(
    ['Quirk', 'Maker (IANA number)', 'Meaning', 'Source'],
    quirks.map(({ name, manufacturers, meaning, source }) => [
      `\`${name}\``,
      manufacturers.join(', ') || 'only where it is named',
      meaning,
      source,
    ]),
  );
}

/** Step texts that no step uses any more. */
export function unusedStepTexts(): readonly string[] {
  const used = new Set(
    stepLists.flatMap((list) => list.steps.map((step) => stepTextKey(list.name, step.name))),
  );
  return Object.keys(stepTexts).filter((key) => !used.has(key));
}

const kindNames: Readonly<Record<OperationKind, string>> = {
  start: 'Start',
  stop: 'Stop',
  reboot: 'Reboot',
  'plug-nic': 'PlugNic',
  'unplug-nic': 'UnPlugNic',
  destroy: 'Destroy',
  erase: 'erase',
  commission: 'commission',
};
const kinds = Object.keys(kindNames) as OperationKind[];
/** These concern the machine itself; the others an instance. */
const ofMachine: readonly OperationKind[] = ['erase', 'commission'];

function arbitrationTable(): string {
  const key = (kind: OperationKind, instance: string): string =>
    ofMachine.includes(kind) ? 'machine' : instance;
  const contender = (kind: OperationKind, instance: string, more = ''): Contender => ({
    kind,
    subject: key(kind, instance),
    joinKey: key(kind, instance) + more,
  });
  const cell = (newcomer: OperationKind, active: OperationKind): string => {
    const judge = (instance: string, more = ''): string =>
      arbitrate(contender(active, 'running'), contender(newcomer, instance, more));
    const [own, other] = [judge('running'), judge('another')];
    const nic = newcomer === 'plug-nic' || newcomer === 'unplug-nic' ? judge('running', ' another NIC') : own;
    return [own, nic !== own && `another NIC: ${nic}`, own !== other && `another instance: ${other}`]
      .filter((text) => text !== false)
      .join('; ');
  };
  return table(
    ['A new … meets a running …', ...kinds.map((kind) => kindNames[kind])],
    kinds.map((newcomer) => [`**${kindNames[newcomer]}**`, ...kinds.map((active) => cell(newcomer, active))]),
  );
}

const stateMeanings: Readonly<Record<MachineState, string>> = {
  new: 'Enrolled, or merely seen on the provisioning network. Also after a failed commissioning',
  commissioning: 'Its inventory is taken, and its disks are erased',
  ready: 'Free, with evidence that its disks are clean, or the word of whoever chose grade `none`',
  deploying: 'A first Start is at work',
  deployed: 'A tenant’s system is installed; the machine may be on or off',
  releasing: 'A Destroy takes it back',
  erasing: 'Its disks are being erased',
  failed: 'The last operation failed. Not given to anybody until it is erased or destroyed',
  broken: 'A person said so. No verb sets this state yet',
};

function machineStates(): string {
  const states = Object.keys(stateMeanings) as MachineState[];
  const arrows = states.flatMap((from) =>
    machineTransitions[from].filter((to) => to !== 'broken').map((to) => [from, to] as const),
  );
  const diagram = arrows
    .filter(([from]) => from !== 'broken')
    .map(([from, to]) => `    ${from} --> ${to}`)
    .join('\n');
  const rows = states.map((state) => [
    `\`${state}\``,
    stateMeanings[state],
    machineTransitions[state].map((to) => `\`${to}\``).join(', '),
  ]);
  return [
    `\`\`\`mermaid\nstateDiagram-v2\n    [*] --> new\n${diagram}\n\`\`\``,
    'The diagram leaves out `broken`.',
    table(['State', 'Meaning', 'May become'], rows),
  ].join('\n\n');
}

/** Which role may do what, with what takes the whole scope marked. */
function rightsTable(): string {
  return table(
    ['Right', ...roles.map((role) => `\`${role}\``)],
    actions.map((action) => [
      `\`${action}\`${isWhole(action) ? ' (whole scope)' : ''}`,
      ...roles.map((role) => (rights[role].has(action) ? 'yes' : '')),
    ]),
  );
}

const groupTitles: Readonly<Record<string, string>> = {
  power: 'BMC and power',
  switch: 'Switches',
  deploy: 'Installing and erasing',
  maas: 'An upstream MAAS',
  pool: 'Pools',
  value: 'Values',
  config: 'Configuration',
  rack: 'Rack config',
  secret: 'Secrets',
  access: 'Access',
  request: 'Requests',
  machine: 'Machines',
  quarantine: 'Quarantine',
  claim: 'Claims',
  image: 'Images',
  network: 'Networks of an instance',
  wiring: 'Wiring',
  operation: 'Operations',
  boot: 'Boot service',
  store: 'Database',
  backup: 'Backup files',
  restore: 'Restored databases',
  instance: 'Instances',
  agent: 'CloudStack agent links',
  cloudstack: "CloudStack's HTTP API",
  service: 'The service, as the command line sees it',
  cli: 'Command line',
  internal: 'Faults of the service',
};

function failureTables(): string {
  const groups = new Map<string, string[]>();
  for (const code of Object.keys(failureCodes)) {
    const group = code.slice(0, code.indexOf('.'));
    groups.set(group, [...(groups.get(group) ?? []), code]);
  }
  return Array.from(groups, ([group, codes]) => {
    const title = groupTitles[group];
    if (title === undefined) throw new Error(`failure codes "${group}.*" have no title in test/docs`);
    const rows = codes.map((code) => {
      const { retry, meaning, remedy } = failureCodes[code]!;
      return [`\`${code}\``, retry, meaning, sentence(remedy)];
    });
    return `### ${title}\n\n${table(['Code', 'Retry', 'What it means', 'What to do'], rows)}`;
  }).join('\n\n');
}

function stopRetryList(): string {
  return Object.keys(failureCodes)
    .filter((code) => stopRetry(new CodedError({ code, retry: 'never', what: code })))
    .map((code) => `- \`${code}\`: ${failureCodes[code]!.meaning}`)
    .join('\n');
}

/** One row for each answer; commands that get the same one for the same reason share it. */
function agentCommandTable(): string {
  const commandsOf = new Map<string, string[]>();
  for (const { command, answerClass, does } of [...servedCommands(), ...servedLinkCommands()]) {
    const kind = JSON.stringify([answerClass, does]);
    commandsOf.set(kind, [...(commandsOf.get(kind) ?? []), `\`${javaName(command)}\``]);
  }
  const rows = Array.from(commandsOf, ([kind, commands]) => {
    const [answerClass, does] = JSON.parse(kind) as [string, string];
    return [commands.join(', '), `\`${javaName(answerClass)}\``, does];
  });
  return table(['Command', 'Answer', 'What csbm does'], rows);
}

/** Most classes are in one package, which is left out. */
function javaName(className: string): string {
  return className.replace(/^com\.cloud\.agent\.api\./, '');
}

/** Numbers with these names count something; all others are times. */
const counts: readonly string[] = ['jitter', 'busyRetries', 'slotRetries', 'solTries', 'solRefusals'];

function settingsTable(
  shape: Readonly<Record<string, { readonly description?: string | undefined }>>,
  defaults: Readonly<Record<string, unknown>>,
): string {
  const shown = (key: string, value: unknown): string =>
    typeof value === 'number' && !counts.includes(key) ? asWritten(value) : String(value);
  const rows = Object.entries(shape).map(([key, { description = '' }]) => {
    const value = defaults[key];
    const text = Array.isArray(value)
      ? value.map((each) => shown(key, each)).join(', ') || 'none'
      : shown(key, value);
    return [`\`${key}\``, `\`${text}\``, description];
  });
  return table(['Setting', 'Default', 'Meaning'], rows);
}

/** A time as people write it in csbm.yaml. */
function asWritten(milliseconds: number): string {
  if (milliseconds >= 60_000 && milliseconds % 60_000 === 0) return `${milliseconds / 60_000}m`;
  return milliseconds > 0 && milliseconds % 1_000 === 0 ? `${milliseconds / 1_000}s` : `${milliseconds}ms`;
}

function stepTable(list: ShownList): string {
  const undone = list.onFailure === 'undo';
  const rows = list.steps.map((step, index) => {
    const text = stepText(list.name, step.name);
    const name = `\`${step.name}\`${step.kind === 'at-most-once' ? ' (at most once)' : ''}`;
    const back = 'none' in step.undo ? `nothing: ${String(step.undo.none)}` : text.undo;
    if (undone && back === undefined) throw new Error(`${list.name}/${step.name} has an undo without a text`);
    return [String(index + 1), name, text.does, ...(undone ? [back!] : [])];
  });
  const behaviour = undone
    ? 'If it fails, what was done is undone, the last step first.'
    : 'If it fails, it stays where it failed, and is to be asked for again: it must come to its end.';
  return [
    `${behaviour} ${list.cancellable ? 'It can be cancelled.' : 'It cannot be cancelled.'}`,
    table(['', 'Step', 'What it does', ...(undone ? ['Undo'] : [])], rows),
  ].join('\n\n');
}

function stepTextKey(list: string, step: string): string {
  const own = `${list}/${step}`;
  return own in stepTexts ? own : step;
}

function stepText(list: string, step: string): StepText {
  const text = stepTexts[stepTextKey(list, step)];
  if (!text) throw new Error(`step ${list}/${step} has no text in test/docs/step-texts.ts`);
  return text;
}

function sentence(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(header), line(header.map(() => '---')), ...rows.map(line)].join('\n');
}
