import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { ServiceError } from '../../kernel/errors/service-error.ts';
import { sheet, size, table, time } from '../table.ts';
import type { Terminal } from '../terminal.ts';
import type { MachineView, PortStateView, PortView, WireView } from './api-types.ts';
import { commandOperation, operationVerb, type OperationOptions } from './command-operation.ts';
import { enrolVerb } from './enrol-machine.ts';
import { adminRun, adminVerb, type AdminOptions } from './verb.ts';

/** `csbm machine` */
export function machineCommand(terminal: Terminal): Command {
  const group = new Command('machine');

  adminVerb(group.command('list').description('all machines')).action(async (options: AdminOptions) => {
    const { client, print } = await adminRun(terminal, options);
    const document = await client.get<{ readonly machines: readonly MachineView[] }>('/machines');
    print(document, () => machineTable(document.machines));
  });

  adminVerb(
    group.command('show <machine>').description('everything about one machine, by its name or system id'),
  ).action(async (name: string, options: AdminOptions) => {
    const { client, print } = await adminRun(terminal, options);
    const document = await client.get<MachineAnswer>(pathOf(name));
    print(document, () => machineText(document.machine));
  });

  enrolVerb(group, terminal);

  adminVerb(group.command('rm <machine>').description('forget a machine that nobody holds'))
    .option('--reason <text>', 'why; written to the log of the service', '')
    .action(async (name: string, options: AdminOptions & { reason: string }) => {
      const { client, print } = await adminRun(terminal, options);
      await client.call('DELETE', pathOf(name), { body: { reason: options.reason } });
      print({ removed: name }, () => `${name} is forgotten`);
    });

  operationVerb(group.command('commission <machine>').description('take its inventory and make it ready'))
    .addOption(gradeOption('erase its disks; none = accept them as they are', ['none', ...provableGrades]))
    .action((name: string, options: OperationOptions & { grade?: string }) =>
      commandOperation(terminal, options, `${pathOf(name)}/commission`, gradeOf(options)),
    );

  operationVerb(
    group.command('erase <machine>').description('erase the disks of a machine that nobody holds'),
  )
    .addOption(gradeOption('how thoroughly', provableGrades))
    .action((name: string, options: OperationOptions & { grade?: string }) =>
      commandOperation(terminal, options, `${pathOf(name)}/erase`, gradeOf(options)),
    );

  operationVerb(group.command('start <machine>').description('claim, install and start it for an instance'))
    .requiredOption('--id <external-id>', 'the instance, for example cloud/i-2-77-VM')
    .requiredOption('--template <template>', 'what to install: an image name or template URL')
    .option('--nic <mac@vlan>', 'a NIC: MAC@VLAN or MAC@vlan://ID; the first is the default NIC', nic, [])
    .option('--hostname <name>', 'host name of the instance (default: the name of the machine)')
    .option('--ssh-key <file>', 'public key for its first user (repeatable)', collect, [])
    .option('--user-data <file>', 'first-boot data')
    .option('--known', 'the instance ran here before: never install, only start', false)
    .action((name: string, options: StartOptions) =>
      commandOperation(terminal, options, `${pathOf(name)}/start`, startOrder(terminal, options)),
    );

  operationVerb(group.command('stop <machine>').description('shut the operating system down, then power off'))
    .option('--force', 'power off at once', false)
    .action((name: string, options: OperationOptions & { force: boolean }) =>
      commandOperation(terminal, options, `${pathOf(name)}/stop`, { force: options.force }),
    );

  operationVerb(
    group.command('destroy <machine>').description('take it back: off, off the network, erased, released'),
  )
    .addOption(gradeOption('how thoroughly to erase', ['none', ...provableGrades]))
    .action((name: string, options: OperationOptions & { grade?: string }) =>
      commandOperation(terminal, options, `${pathOf(name)}/destroy`, gradeOf(options)),
    );

  adminVerb(group.command('quarantine <machine>').description('withhold it from new claims'))
    .option('--reason <text>', 'why; shown until it is lifted', '')
    .action(async (name: string, options: AdminOptions & { reason: string }) => {
      const { client, print } = await adminRun(terminal, options);
      const body = { reason: options.reason };
      const document = await client.call<MachineAnswer>('POST', `${pathOf(name)}/quarantine`, { body });
      print(document, () => `${document.machine.hostname} is withheld`);
    });

  adminVerb(group.command('lift <machine>').description('end its quarantine'))
    .option('--reason <text>', 'why; written to the log of the service', '')
    .action(async (name: string, options: AdminOptions & { reason: string }) => {
      const { client, print } = await adminRun(terminal, options);
      const body = { reason: options.reason };
      const document = await client.call<MachineAnswer>('DELETE', `${pathOf(name)}/quarantine`, { body });
      print(document, () => `${document.machine.hostname} is ${document.machine.state}, no longer withheld`);
    });

  adminVerb(group.command('ports <machine>').description('its switch ports: wanted and observed')).action(
    async (name: string, options: AdminOptions) => {
      const { client, print } = await adminRun(terminal, options);
      const document = await client.get<MachinePorts>(`${pathOf(name)}/ports`);
      print(document, () => portsText(document));
    },
  );
  return group;
}

interface MachineAnswer {
  readonly machine: MachineView;
}

interface MachinePorts {
  readonly wiring: readonly Omit<WireView, 'server'>[];
  readonly ports: readonly PortView[];
}

interface StartOptions extends OperationOptions {
  readonly id: string;
  readonly template: string;
  readonly nic: readonly { readonly mac: string; readonly broadcastUri: string }[];
  readonly hostname?: string;
  readonly sshKey: readonly string[];
  readonly userData?: string;
  readonly known: boolean;
}

const provableGrades = ['quick', 'full', 'secure'] as const;

function gradeOption(meaning: string, grades: readonly string[]): Option {
  return new Option('--grade <grade>', `${meaning} (default: erase.defaultGrade of the service)`).choices(
    grades,
  );
}

function gradeOf({ grade }: { readonly grade?: string }): object {
  return grade === undefined ? {} : { grade };
}

function startOrder(terminal: Terminal, options: StartOptions): object {
  return {
    externalId: options.id,
    template: options.template,
    firstDeployment: !options.known,
    ...(options.hostname !== undefined && { hostname: options.hostname }),
    nics: options.nic.map((at, i) => ({ ...at, defaultNic: i === 0, deviceId: i })),
    sshKeys: options.sshKey.map((file) => readPublicKey(terminal, file)),
    userData: options.userData === undefined ? null : readText(terminal, options.userData),
  };
}

/** A mistaken file must not carry its secret to the service, and from there onto a machine. */
function readPublicKey(terminal: Terminal, file: string): string {
  const text = readText(terminal, file).trim();
  if (!/PRIVATE KEY/.test(text)) return text;
  throw new ServiceError({
    code: 'cli.usage',
    what: 'that is a private key',
    where: resolve(terminal.cwd, file),
    remedy: 'name the public key; its file ends with .pub',
  });
}

/** @throws ServiceError `cli.failed` also for bytes that are no text: replaced by others, they would reach a machine without a word */
function readText(terminal: Terminal, file: string): string {
  const path = resolve(terminal.cwd, file);
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(readFileSync(path));
  } catch (cause) {
    if (cause instanceof TypeError)
      throw new ServiceError({
        code: 'cli.failed',
        what: 'the file is not text',
        where: path,
        remedy: 'name a text in UTF-8; unpack it where it is compressed',
        cause,
      });
    const said = cause instanceof Error ? cause.message : String(cause);
    throw new ServiceError({
      code: 'cli.failed',
      what: 'the file cannot be read',
      where: path,
      said,
      remedy: 'name a readable file',
      cause,
    });
  }
}

function nic(text: string, before: StartOptions['nic']): StartOptions['nic'] {
  const match = /^([^@\s]+)@(\d{1,4}|[a-z]+:\/\/\S+)$/.exec(text);
  if (!match) throw new InvalidArgumentError('write MAC@VLAN, for example 52:54:00:aa:bb:01@1201');
  const [, mac = '', network = ''] = match;
  return [...before, { mac, broadcastUri: /^\d+$/.test(network) ? `vlan://${network}` : network }];
}

function collect(value: string, before: readonly string[]): readonly string[] {
  return [...before, value];
}

function machineTable(machines: readonly MachineView[]): string {
  return table(
    ['NAME', 'ID', 'STATE', 'POWER', 'BMC', 'HELD BY', 'IMAGE', 'OPERATION', 'WITHHELD'],
    machines.map((at) => [
      at.hostname,
      at.id,
      at.state,
      at.power?.state,
      at.bmc && `${at.bmc.host}:${at.bmc.port}`,
      at.claim?.externalId,
      at.deployment?.image,
      at.operation && `${at.operation.kind} ${at.operation.id}`,
      withheldText(at),
    ]),
  );
}

export function machineText(at: MachineView): string {
  const { bmc, power, claim, deployment, clean, cloudPlace: place } = at;
  return sheet([
    ['name', at.hostname],
    ['id', at.id],
    ['state', at.state],
    ['withheld', withheldText(at)],
    ['operation', at.operation && `${at.operation.kind} ${at.operation.id} ${at.operation.state}`],
    ['power', power && `${power.state} at ${time(power.at)!}`],
    ['BMC', bmc && `${bmc.driver} ${bmc.username}@${bmc.host}:${bmc.port}`],
    ['cipher suite', bmc?.knownSuite],
    ['held by', claim && `${claim.externalId} of ${claim.owner} since ${time(claim.since)!}`],
    ['deployment', deployment && `${deployment.image}, ${deployment.state}`],
    ['VLANs', deployment && `native ${deployment.native ?? 'none'}, tagged ${listed(deployment.tagged)}`],
    ['clean disks', clean && `${clean.grade} at ${time(clean.at)!}: ${clean.summary}`],
    ['place', `site ${at.site}, pool ${at.pool}, wiring ${at.wiring}, engine ${at.engine}`],
    ['CloudStack', place && `${place.cloud}: zone ${place.zone}, pod ${place.pod}, cluster ${place.cluster}`],
    ['host tag', place?.hostTag],
    ['hardware', `${at.product} ${at.serial}`.trim()],
    ['CPUs', at.cpus || null],
    ['memory', at.memoryBytes > 0 ? size(at.memoryBytes) : null],
    ['firmware', at.firmware],
    ...at.nics.map(
      (one) =>
        [
          `NIC ${one.name}`,
          `${one.mac}, link ${one.linkUp ? 'up' : 'down'}${one.speedMbps === null ? '' : `, ${one.speedMbps} Mbit/s`}`,
        ] as const,
    ),
    ...at.disks.map(
      (disk) => [`disk ${disk.name}`, `${size(disk.bytes)} ${disk.model} ${disk.serial}`] as const,
    ),
  ]);
}

function withheldText({ quarantine, withheld }: MachineView): string | null {
  if (quarantine) return `${quarantine.fenced ? 'fenced: ' : ''}${quarantine.reason}`;
  if (!withheld) return null;
  return `${withheld.kind === 'bmc' ? 'its BMC' : `${withheld.kind} ${withheld.name}`}: ${withheld.reason}`;
}

function portsText({ wiring, ports }: MachinePorts): string {
  return table(
    ['MAC', 'SWITCH', 'PORT', 'PURPOSE', 'WANTED', 'OBSERVED', 'READ AT'],
    wiring.map((wire) => {
      const at = ports.find(({ switch: name, port }) => name === wire.switch && port === wire.port);
      const observed = at?.settled ? 'as wanted' : at?.observed && portText(at.observed);
      return [
        wire.mac,
        wire.switch,
        wire.port,
        at?.purpose,
        at && portText(at.desired),
        observed,
        time(at?.observedAt),
      ];
    }),
  );
}

function portText({ native, tagged, admin }: PortStateView): string {
  return `native ${native ?? 'none'}, tagged ${listed(tagged)}, ${admin}`;
}

function listed(vlans: readonly number[]): string {
  return vlans.join(',') || 'none';
}

function pathOf(name: string): string {
  return `/machines/${encodeURIComponent(name)}`;
}
