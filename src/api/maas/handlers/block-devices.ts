import type { MaasCall, MaasHandler, MaasReply } from '../handler.ts';
import type { MaasContext } from '../maas-context.ts';
import { MaasRefusal, notFound } from '../maas-refusal.ts';
import { MachineDesk } from '../machine-desk.ts';
import { blockDevicesJson, type BlockDeviceJson } from '../shapes/block-device.ts';

/** `nodes/{system_id}/blockdevices/`: the disks that the inventory found. */
export function blockDevicesHandler(context: MaasContext): MaasHandler {
  const desk = new MachineDesk(context);
  return {
    name: 'BlockDevicesHandler',
    doc: 'Disks of a machine.',
    path: 'nodes/{system_id}/blockdevices/',
    actions: [
      {
        method: 'GET',
        op: null,
        doc: 'List the disks.',
        handle: async (call): Promise<MaasReply> => ({ json: await disksOf(desk, call) }),
      },
    ],
  };
}

/** `nodes/{system_id}/blockdevices/{id}/`, by number or name. */
export function blockDeviceHandler(context: MaasContext): MaasHandler {
  const desk = new MachineDesk(context);
  return {
    name: 'BlockDeviceHandler',
    doc: 'One disk of a machine.',
    path: 'nodes/{system_id}/blockdevices/{id}/',
    actions: [
      {
        method: 'GET',
        op: null,
        doc: 'Read a disk.',
        handle: async (call): Promise<MaasReply> => ({ json: await diskOf(desk, call) }),
      },
      {
        method: 'POST',
        op: 'set_boot_disk',
        doc: 'Install to this disk from now on.',
        access: 'admin',
        handle: (call) => setBootDisk(context, desk, call),
      },
    ],
  };
}

/** `nodes/{system_id}/blockdevices/{device_id}/partitions/`: images bring their own, which nobody sees from outside. */
export function partitionsHandler(context: MaasContext): MaasHandler {
  const desk = new MachineDesk(context);
  return {
    name: 'PartitionsHandler',
    doc: 'Partitions of a disk: images bring their own, none are told.',
    path: 'nodes/{system_id}/blockdevices/{device_id}/partitions/',
    actions: [
      {
        method: 'GET',
        op: null,
        doc: 'List the partitions.',
        handle: async (call): Promise<MaasReply> => {
          const { partitions } = await diskOf(desk, call, 'device_id');
          return { json: partitions };
        },
      },
    ],
  };
}

async function setBootDisk({ machines }: MaasContext, desk: MachineDesk, call: MaasCall): Promise<MaasReply> {
  const { sight, status } = await desk.findToChange(call.user, call.param('system_id'));
  if (!['Ready', 'Allocated'].includes(status.status_name))
    throw new MaasRefusal(409, 'Cannot set as boot disk because the machine is not Ready or Allocated.');
  const { name, serial } = await diskOf(desk, call);
  if (serial === null)
    throw new MaasRefusal(
      409,
      `Cannot set ${name} as boot disk: it has no serial by which it would be known again.`,
    );
  await machines.amend(sight.machine.id, call.user.asker(), { rootDiskSerial: serial });
  return { text: 'OK' };
}

async function disksOf(desk: MachineDesk, call: MaasCall): Promise<readonly BlockDeviceJson[]> {
  const { sight } = await desk.find(call.user, call.param('system_id'));
  return blockDevicesJson(sight.machine);
}

async function diskOf(desk: MachineDesk, call: MaasCall, param = 'id'): Promise<BlockDeviceJson> {
  const named = call.param(param);
  const found = (await disksOf(desk, call)).find(({ id, name }) => String(id) === named || name === named);
  if (!found) throw notFound('BlockDevice');
  return found;
}
