import type { Command } from 'commander';
import { table, time } from '../table.ts';
import type { Terminal } from '../terminal.ts';
import type { LeasesView } from './api-types.ts';
import { adminRun, adminVerb, type AdminOptions } from './verb.ts';

/** `csbm native leases` */
export function addLeasesVerb(group: Command, terminal: Terminal): void {
  adminVerb(
    group
      .command('leases')
      .description('addresses that machines have on the provisioning network, from the service'),
  ).action(async (options: AdminOptions) => {
    const { client, print } = await adminRun(terminal, options);
    const document = await client.get<LeasesView>('/native/leases');
    print(document, () => leasesText(document));
  });
}

function leasesText({ provisioning: { state, why, remedy }, leases }: LeasesView): string {
  // Where another DHCP server does it, an empty table would say something wrong.
  if (state === 'off') return 'the provisioning network is not served by csbm (provisioning.network.enabled)';
  const rows = leases.map((lease) => [
    lease.address,
    lease.mac,
    lease.machine?.hostname,
    lease.name,
    lease.expiresAt === null ? 'never' : time(lease.expiresAt),
  ]);
  const told = table(['ADDRESS', 'MAC', 'MACHINE', 'CALLS ITSELF', 'EXPIRES'], rows);
  if (state === 'running') return told;
  return [`dnsmasq is not running: ${state}`, why, remedy && `-> ${remedy}`, told].filter(Boolean).join('\n');
}
