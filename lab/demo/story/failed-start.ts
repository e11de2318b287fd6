import { startCommand } from '../../management-server/commands.ts';
import { isBlank } from '../blank-disk.ts';
import { nicsOf, shortName, vlans, type Show } from './show.ts';

const name = 'server-2';
const refusal = `% Error: VLAN ${vlans.blue} cannot be programmed into hardware.`;
/** Milliseconds until the service must have begun to erase by itself. */
const eraseBegins = 20_000;

/** 10: a Start that fails when the image is on the disk already, and is undone. */
export async function failedStart(show: Show): Promise<void> {
  const { page, stage, watch } = show;
  page.section(
    'A Start that fails half way',
    `Tenant blue wants a second instance, on ${name}. The image is installed already when switch tor-2 refuses its tenant VLAN. ` +
      'csbm undoes what it did, tells CloudStack the reason, and erases the half-used disk by itself.',
  );
  const instance = stage.instance('i-3-51-VM', [vlans.blue]);
  const before = watch.phases(name).length;
  const rule = stage.floor.switches[1]!.behaviours.on(
    new RegExp(`^interface vlan ${vlans.blue}$`, 'i'),
    { do: 'refuse', text: refusal },
    { times: Number.POSITIVE_INFINITY },
  );
  const { answer, followed } = await show.command(name, 'start', startCommand(instance));
  page.check(
    'CloudStack is told no, and why',
    !answer.result && (answer.details ?? '').includes(refusal),
    `${shortName(answer.className)}, result ${answer.result}, "${answer.details ?? ''}"`,
  );
  page.check(
    'the Start was undone',
    followed?.operation.state === 'failed' && followed.operation.undoError === null && rule.fired > 0,
    `the operation ${followed?.operation.state ?? 'never began'}, ${followed?.steps.filter((step) => step.direction === 'undo' && step.state === 'done').length ?? 0} steps taken back, nothing left over`,
  );
  const erase = await show.follower.next(
    name,
    'erase',
    new Promise((resolve) => setTimeout(resolve, eraseBegins).unref()),
  );
  rule.cancel();
  const phases = watch.phases(name).slice(before);
  const erasing = phases.findLast(({ phase }) => phase === 'firmware');
  const ports =
    erasing?.ports.map((port) =>
      port?.up ? `VLAN ${port.native}${port.tagged.length > 0 ? ' and more' : ''}` : 'shut',
    ) ?? [];
  page.check(
    'both ports went back together',
    ports.length === 2 && ports.every((port) => port === `VLAN ${vlans.provisioning}`),
    `when it was switched on for the erase: ${ports.join(' and ') || 'it was not'}`,
  );
  const [mac] = nicsOf(instance)[0]!;
  const ran = phases.some(({ phase }) => phase === 'os');
  const leased = stage.floor.router.leases.some((lease) => lease.mac === mac);
  page.check(
    'its system never ran',
    !ran && !leased,
    `${ran ? 'it did' : 'it did not boot from its disk'}, ${leased ? 'a lease' : 'no lease'} for ${mac}`,
  );
  const { machine } = stage.floor.find(name);
  page.check(
    'the half-used disk is empty again',
    erase?.operation.state === 'done' && machine.disks.every((disk) => isBlank(disk.file)),
    `erase ${erase?.operation.state ?? 'never began'}; ${machine.disks.map((disk) => `${disk.name}: ${isBlank(disk.file) ? 'all zero' : 'not empty'}`).join(', ')}`,
  );
  const { state, claim, quarantine } = await show.machine(name);
  page.check(
    'it is ready for the next tenant',
    state === 'ready' && claim === null && quarantine === null,
    `${state}, ${claim ? `claimed by ${claim.externalId}` : 'nobody holds it'}`,
  );
  show.look(name, 'start undone', {
    power: 'off',
    ports: { native: vlans.provisioning, tagged: [] },
    image: null,
    leases: [],
  });
}
