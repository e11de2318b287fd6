import type { PhaseOrder } from '../../../../plugin-api/index.ts';
import { takesFirstBoot } from './images.ts';
import { gradeFields } from './erase-phase.ts';
import type { MaasSettings } from './maas-settings.ts';

/** The calls that an order would make, one line each, for people (law 8). Secrets and first-boot data show by name only. */
export function planLines(where: string, order: PhaseOrder, settings: MaasSettings): readonly string[] {
  const line = (text: string): string => `${where}: ${text}`;
  const find = line(`GET machines/?mac_address=${order.macs.join('&mac_address=')}`);
  switch (order.phase) {
    case 'commission':
      return [
        find,
        ...(order.bmc
          ? [
              line(`where there is none: find it by its BMC's address ${order.bmc.host}`),
              line(
                `where there is none: POST machines/ hostname=${order.hostname} power_type=ipmi power_address=${order.bmc.host} power_user=*** power_pass=***`,
              ),
            ]
          : []),
        line('unless it is Ready: POST machines/{id}/?op=commission skip_bmc_config=1 testing_scripts=none'),
        line('wait for Ready; MAAS drives the power'),
      ];
    case 'deploy':
      return [
        find,
        line('POST machines/?op=allocate system_id={id}'),
        line(`POST machines/{id}/?op=set_owner_data csbm_order=${order.id}`),
        line(`PUT machines/{id}/ hostname=${order.firstBoot.hostname}`),
        ...(order.tags ?? []).map((tag) => line(`POST tags/${tag}/?op=update_nodes add={id}`)),
        ...order.nicPlan.flatMap((entry, index) => {
          const dhcp =
            index === 0 ? [line(`POST nodes/{id}/interfaces/{${entry.name}}/?op=link_subnet mode=DHCP`)] : [];
          if (entry.kind === 'bond')
            return [
              line(
                `POST nodes/{id}/interfaces/?op=create_bond name=${entry.name} bond_mode=${entry.mode} mac_address=${entry.mac} over ${entry.members.join(', ')}`,
              ),
              ...dhcp,
            ];
          return entry.kind === 'nic'
            ? dhcp
            : [line(`${entry.name}: VLAN ${entry.vlan} on ${entry.link} comes with the first-boot data`)];
        }),
        line(
          `POST machines/{id}/?op=deploy distro_series=${order.image}` +
            (takesFirstBoot(order.image)
              ? ' user_data=(first-boot data that retires the MAAS data source)'
              : ''),
        ),
        line(
          takesFirstBoot(order.image) && settings.awaitFirstBoot
            ? 'wait for Deployed, then for the power-off at the end of the first boot; MAAS drives the power'
            : 'wait for Deployed; MAAS drives the power',
        ),
      ];
    case 'erase':
      return [
        find,
        line('where it is Ready: POST machines/?op=allocate system_id={id}'),
        line(
          `POST machines/{id}/?op=release ${gradeFields(order.grade)
            .map(([name, value]) => `${name}=${String(value)}`)
            .join(' ')}`,
        ),
        line('wait for Ready or New; MAAS drives the power'),
      ];
  }
}
