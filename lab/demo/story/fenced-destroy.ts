import { destroyCommand, startCommand } from '../../management-server/commands.ts';
import { isBlank } from '../blank-disk.ts';
import { imageName } from './opening.ts';
import { leasesOf, nicsOf, vlans, type Show } from './show.ts';

const name = 'server-2';

/** 11: a Destroy while the BMC does not answer. */
export async function fencedDestroy(show: Show): Promise<void> {
  const { page, stage } = show;
  page.section(
    'A Destroy with a dead BMC',
    `Tenant blue's next instance runs on ${name} when its BMC dies. csbm cannot switch the server off, so it makes the switch the ` +
      'fence: both ports shut, read back, the server withheld. CloudStack is answered; the erase waits until somebody has mended the BMC.',
  );
  const { machine, bmc } = stage.floor.find(name);
  const instance = stage.instance('i-3-52-VM', [vlans.blue]);
  const started = await show.command(name, 'start', startCommand(instance));
  show.checkAnswer(started.answer);
  await show.checkLeases(instance);
  bmc.behave({ dead: true });
  const { answer } = await show.command(name, 'destroy', destroyCommand(instance));
  show.checkAnswer(answer);
  show.look(name, 'fenced', {
    power: 'on',
    ports: 'shut',
    image: imageName,
    leases: leasesOf(instance),
  });
  const heard = stage.floor.machines.some(({ machine: { os } }) =>
    os?.interfaces.some(
      (one) => one.mac === nicsOf(instance)[0]![0] && stage.floor.router.ping(one.mac, vlans.blue),
    ),
  );
  page.check('nobody hears it any more', !heard, heard ? 'the router does' : 'it runs, and reaches nobody');
  const fenced = await show.machine(name);
  page.check(
    'it is withheld, with the reason',
    fenced.quarantine?.fenced === true && fenced.claim === null,
    `${fenced.state}; ${fenced.quarantine?.reason ?? 'no quarantine'}`,
  );
  bmc.heal();
  // CloudStack forgets the instance and its MAC.
  for (const [mac] of nicsOf(instance))
    stage.floor.router.release(mac as Parameters<typeof stage.floor.router.release>[0]);
  page.detail(`somebody mends the BMC of ${name}, and says: csbm machine erase ${name}`);
  await Promise.all([
    stage.admin.operation('POST', `/machines/${name}/erase`, {}),
    show.follower.next(name, 'erase', new Promise(() => undefined)),
  ]);
  const after = await show.machine(name);
  page.check(
    'an administrator had it erased once the BMC was mended',
    after.state === 'ready' && after.quarantine === null && machine.disks.every((disk) => isBlank(disk.file)),
    `${after.state}; ${machine.disks.map((disk) => `${disk.name}: ${isBlank(disk.file) ? 'all zero' : 'not empty'}`).join(', ')}`,
  );
  show.look(name, 'erased', {
    power: 'off',
    ports: { native: vlans.provisioning, tagged: [] },
    image: null,
    leases: [],
  });
}
