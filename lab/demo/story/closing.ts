import type { LabInstance } from '../../management-server/commands.ts';
import { momentTable } from '../floor-check.ts';
import { imageName } from './opening.ts';
import { leasesOf, vlans, type Show } from './show.ts';

/** 12: the floor's own state, moment by moment, beside what was asked. */
export function whatTheFloorShows(show: Show, neighbour: LabInstance): void {
  const { page, stage, watch } = show;
  page.section(
    'What the floor shows',
    "Not csbm's word: the state of the simulated switches, BMCs, disks and router at each moment, compared with what was asked. " +
      '"200 +201t" is VLAN 200 untagged and VLAN 201 tagged.',
  );
  show.look('server-3', 'all the time', {
    power: 'on',
    ports: { native: vlans.blue, tagged: [] },
    image: imageName,
    leases: leasesOf(neighbour),
  });
  page.text('', ...momentTable(show.moments).map((line) => `   ${line}`), '');
  const starts = watch.phases('server-3').filter(({ phase }) => phase === 'os').length;
  page.check(
    'the neighbour was left in peace',
    starts === 1,
    `its system started ${starts === 1 ? 'once' : `${starts} times`} and runs`,
  );
  const { violations } = stage.floor.oracle;
  page.check(
    'no rule of the floor was broken',
    violations.length === 0,
    violations.length === 0
      ? 'no port moved under a running server, no bond with unequal ports, no unerased disk reused, no tenant heard by another'
      : violations.map(({ machine, said }) => `${machine}: ${said}`).join('; '),
  );
  const { anomalies } = stage.cloud;
  page.check(
    'the protocol was spoken well',
    anomalies.length === 0,
    anomalies.join('; ') || 'nothing that a management server would log as an error',
  );
}
