import {
  destroyCommand,
  plugNicCommand,
  rebootCommand,
  startCommand,
  stopCommand,
  unPlugNicCommand,
  type LabInstance,
} from '../../management-server/commands.ts';
import { isBlank } from '../blank-disk.ts';
import { imageName } from './opening.ts';
import { leasesOf, nicsOf, vlans, type Show } from './show.ts';

const name = 'server-1';
/** Bytes per second over the wire: slow enough to be watched, and as fast as the rest. */
const watchable = 6 * 2 ** 20;

const tenantPorts = { native: vlans.red, tagged: [vlans.redBackend] } as const;
const provisioningPorts = { native: vlans.provisioning, tagged: [] } as const;

/** 4 to 9: Start, Stop, Start again, another network, Reboot and Destroy of an instance with two NICs on two switches. */
export async function instanceLife(show: Show): Promise<void> {
  const instance = show.stage.instance('i-2-77-VM', [vlans.red, vlans.redBackend]);
  await start(show, instance);
  await stop(show, instance);
  await startAgain(show, instance);
  await anotherNetwork(show, instance);
  await reboot(show, instance);
  await destroy(show, instance);
}

async function start(show: Show, instance: LabInstance): Promise<void> {
  const { page, stage, watch, wire } = show;
  page.section(
    `StartCommand: ${instance.name} on ${name}`,
    'CloudStack asks for an instance of tenant red with two networks. csbm installs it over the provisioning network, bonds both NICs ' +
      'with the MAC that CloudStack allotted, gives the second network a VLAN interface with a MAC of its own, and moves the switch ' +
      'to the tenant only while the server is off.',
  );
  const { bytesPerSecond } = wire;
  wire.bytesPerSecond = watchable;
  const { answer } = await show.command(name, 'start', startCommand(instance));
  wire.bytesPerSecond = bytesPerSecond;
  show.checkAnswer(answer);
  await show.checkLeases(instance);
  if (show.fault === 'foreign-vlan')
    stage.floor.switches[1]!.model.addTagged(vlans.blue, 'TenGigabitEthernet 1/1', 'somebody');
  const macs = nicsOf(instance).map(([mac]) => mac);
  const { frames, by } = watch.heard(macs, ['server-3', 'server-2']);
  page.check(
    'no other tenant heard it',
    frames > 0 && by.length === 0,
    `${frames} frames sent, ${by.length === 0 ? 'none' : `some`} heard by the neighbour's NICs${by.length > 0 ? `: ${by.join(', ')}` : ''}`,
  );
  await show.checkReport(name, instance.name, 'PowerOn');
  show.look(name, 'started', {
    power: 'on',
    ports: tenantPorts,
    image: imageName,
    leases: leasesOf(instance),
  });
}

async function stop(show: Show, instance: LabInstance): Promise<void> {
  const { page, watch } = show;
  page.section(
    'StopCommand',
    "The operating system is asked to shut down (ACPI), and does. The disk and the switch ports stay the tenant's.",
  );
  const before = watch.controls(name).length;
  const { answer } = await show.command(name, 'stop', stopCommand({ name: instance.name }));
  show.checkAnswer(answer);
  const told = watch.controls(name).slice(before);
  page.check(
    'it shut down by itself',
    told.length === 1 && told[0] === 'soft',
    `the BMC was told: ${told.join(', ') || 'nothing'}`,
  );
  await show.checkReport(name, instance.name, 'PowerOff');
  show.look(name, 'stopped', { power: 'off', ports: tenantPorts, image: imageName, leases: [] });
}

async function startAgain(show: Show, instance: LabInstance): Promise<void> {
  const { page, stage, watch } = show;
  page.section(
    'StartCommand again',
    'csbm knows the instance: it starts from its disk as it left it. Nothing is installed a second time.',
  );
  const installs = watch.installs(name);
  const deployment = (await show.machine(name)).deployment?.id;
  const onDisk = watch.row(name).disks[0]!.instanceId;
  const requests = show.leaseRequests(instance);
  const { answer } = await show.command(name, 'start', startCommand({ ...instance, doPxe: false }));
  show.checkAnswer(answer);
  await show.checkLeases(instance, requests);
  const again = (await show.machine(name)).deployment?.id;
  const { os } = stage.floor.find(name).machine;
  const remembers = os !== null && os.bootedBefore && os.instanceId === onDisk;
  page.check(
    'nothing was reinstalled',
    watch.installs(name) === installs && deployment !== undefined && again === deployment && remembers,
    `images written to this server so far: ${watch.installs(name)}; ` +
      `deployment ${again ?? 'none'}${again === deployment ? ' as before' : `, before: ${deployment ?? 'none'}`}; ` +
      `the system ${remembers ? 'found its own earlier start on the disk' : 'does not know that it ran before'}`,
  );
  show.look(name, 'started again', {
    power: 'on',
    ports: tenantPorts,
    image: imageName,
    leases: leasesOf(instance),
  });
}

async function anotherNetwork(show: Show, instance: LabInstance): Promise<void> {
  const { page, watch } = show;
  page.section(
    'PlugNicCommand, UnPlugNicCommand',
    'The running instance gets a third network and gives it back: tagged on both ports, read back, saved. The system is not disturbed.',
  );
  const nic = { mac: '06:00:ac:10:00:f0', broadcastUri: `vlan://${vlans.redBackup}` };
  const boots = watch.phases(name).length;
  const plugged = await show.command(name, 'plug-nic', plugNicCommand(instance.name, nic));
  show.checkAnswer(plugged.answer);
  const running = { power: 'on', image: imageName, leases: leasesOf(instance) } as const;
  show.look(name, 'third network', {
    ...running,
    ports: { native: vlans.red, tagged: [vlans.redBackend, vlans.redBackup] },
  });
  const unplugged = await show.command(name, 'unplug-nic', unPlugNicCommand(instance.name, nic));
  show.checkAnswer(unplugged.answer);
  show.look(name, 'given back', { ...running, ports: tenantPorts });
  page.check(
    'the system ran on',
    watch.phases(name).length === boots,
    watch.phases(name).length === boots ? 'it was neither stopped nor started' : 'it was',
  );
}

async function reboot(show: Show, instance: LabInstance): Promise<void> {
  const { page, watch } = show;
  page.section('RebootCommand', 'One power cycle by the BMC. Disk, ports and network stay as they are.');
  const before = watch.controls(name).length;
  const requests = show.leaseRequests(instance);
  const { answer } = await show.command(name, 'reboot', rebootCommand(instance.name));
  show.checkAnswer(answer);
  await show.checkLeases(instance, requests);
  const told = watch.controls(name).slice(before);
  page.check(
    'it was cycled once',
    told[0] === 'cycle' && told.slice(1).every((action) => action === 'on'),
    `the BMC was told: ${told.join(', ') || 'nothing'}`,
  );
  show.look(name, 'rebooted', {
    power: 'on',
    ports: tenantPorts,
    image: imageName,
    leases: leasesOf(instance),
  });
}

async function destroy(show: Show, instance: LabInstance): Promise<void> {
  const { page, stage } = show;
  page.section(
    'DestroyCommand, with erase',
    "The tenant leaves: server off, ports out of the tenant's VLANs, and every disk erased before anybody else may have the server, " +
      'securely where the disk can, overwritten where it cannot.',
  );
  const { machine } = stage.floor.find(name);
  if (show.fault === 'erase-skips') machine.behaviours.add({ kind: 'erase-skips', disk: 'vda' }, 1);
  const { answer } = await show.command(name, 'destroy', destroyCommand(instance));
  // CloudStack forgets the instance and its MACs.
  for (const [mac] of nicsOf(instance))
    stage.floor.router.release(mac as Parameters<typeof stage.floor.router.release>[0]);
  show.checkAnswer(answer);
  const blank = machine.disks.filter((disk) => isBlank(disk.file));
  page.check(
    'the disks are empty',
    blank.length === machine.disks.length,
    machine.disks
      .map(
        (disk) =>
          `${disk.name}: ${blank.includes(disk) ? `all ${disk.bytes / 2 ** 20} MiB are zero` : 'there is still something on it'}`,
      )
      .join(', '),
  );
  const { state, claim, clean } = await show.machine(name);
  page.check(
    'it is ready for the next tenant',
    state === 'ready' && claim === null && clean?.grade === 'secure',
    `${state}, ${claim ? `claimed by ${claim.externalId}` : 'nobody holds it'}, erase grade ${clean?.grade ?? 'none'}`,
  );
  await show.checkReport(name, instance.name, null);
  show.look(name, 'destroyed', { power: 'off', ports: provisioningPorts, image: null, leases: [] });
}
