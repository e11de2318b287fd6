import { Command } from 'commander';
import type { Terminal } from '../terminal.ts';
import { sheet, table, time } from '../table.ts';
import type { AlarmView, HealthView } from './api-types.ts';
import { adminRun, adminVerb, type AdminOptions } from './verb.ts';

/** `csbm status` */
export function statusCommand(terminal: Terminal): Command {
  return adminVerb(new Command('status')).action(async (options: AdminOptions) => {
    const { client, print } = await adminRun(terminal, options);
    const health = await client.get<HealthView>('/health');
    print(health, () => healthText(client.url, health));
  });
}

function healthText(url: string, health: HealthView): string {
  const links = new Map<string, number>();
  for (const { state } of health.agentLinks) links.set(state, (links.get(state) ?? 0) + 1);
  const facts = sheet([
    ['service', `${url}, version ${health.version}`],
    ['operations', `${health.activeOperations} active`],
    ['CloudStack', [...links].map(([state, count]) => `${count} ${state}`).join(', ') || 'no links'],
  ]);
  const warnings = [
    ...(health.agentCertificate?.warning ? [health.agentCertificate.warning] : []),
    ...health.unsavedSwitches.map(
      ({ name, since }) => `switch ${name} has unsaved changes since ${time(since)!}`,
    ),
    ...health.quarantined.map(
      ({ hostname, fenced, reason }) => `machine ${hostname} is ${fenced ? 'fenced' : 'withheld'}: ${reason}`,
    ),
    ...health.quarantinedDevices.map(
      ({ kind, label, reason }) => `${kind === 'bmc' ? 'BMC of' : kind} ${label} is in quarantine: ${reason}`,
    ),
    ...health.agentLinks
      .filter(({ reason }) => reason !== null)
      .map(({ machineId, state, reason }) => `link of machine ${machineId} is ${state}: ${reason!}`),
  ];
  return [facts, ...warnings.map((warning) => `! ${warning}`)].join('\n');
}

/** `csbm alarms` */
export function alarmsCommand(terminal: Terminal): Command {
  return adminVerb(new Command('alarms')).action(async (options: AdminOptions) => {
    const { client, print } = await adminRun(terminal, options);
    const document = await client.get<{ readonly alarms: readonly AlarmView[] }>('/alarms');
    print(document, () =>
      table(
        ['AT', 'CODE', 'MACHINE', 'TEXT'],
        document.alarms.map(({ at, code, machineId, text }) => [time(at), code, machineId, text]),
      ),
    );
  });
}

/** `csbm metrics` */
export function metricsCommand(terminal: Terminal): Command {
  return adminVerb(new Command('metrics')).action(async (options: AdminOptions) => {
    const { client, print } = await adminRun(terminal, options);
    const metrics = await client.metrics();
    print({ metrics }, () => metrics);
  });
}
