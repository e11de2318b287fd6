import type { DiskFacts } from '../../../../plugin-api/index.ts';
import type { ShownMachine } from '../../../core/machine/machine.ts';
import { apiRoot } from './resource-uri.ts';

/** A disk as MAAS tells it. Images bring partitions and file systems of their own: none are told. */
export interface BlockDeviceJson {
  readonly system_id: string;
  readonly id: number;
  readonly name: string;
  readonly uuid: string | null;
  readonly type: 'physical';
  readonly path: string;
  readonly model: string | null;
  readonly serial: string | null;
  readonly id_path: string | null;
  readonly size: number;
  readonly block_size: number;
  readonly available_size: number;
  readonly used_size: number;
  readonly used_for: string;
  readonly tags: readonly string[];
  readonly filesystem: null;
  readonly partition_table_type: string | null;
  readonly partitions: readonly never[];
  readonly firmware_version: string | null;
  readonly storage_pool: null;
  readonly numa_node: number;
  readonly resource_uri: string;
}

/** Disks that can be installed to, numbered by their place in the inventory, from 1. */
export function localDisks(
  disks: readonly DiskFacts[],
): readonly { readonly id: number; readonly disk: DiskFacts }[] {
  return disks
    .map((disk, index) => ({ id: index + 1, disk }))
    .filter(({ disk }) => !disk.readOnly && !disk.removable);
}

/** The disk that an image is written to: the one that was named, else the smallest. */
export function rootDisk(
  machine: Pick<ShownMachine, 'disks' | 'rootDiskSerial'>,
): { readonly id: number; readonly disk: DiskFacts } | null {
  const disks = localDisks(machine.disks);
  const named = disks.find(({ disk }) => disk.serial === machine.rootDiskSerial);
  return named ?? [...disks].sort((a, b) => a.disk.bytes - b.disk.bytes)[0] ?? null;
}

/** MAAS's own tags of a disk, by which `storage` constraints find it. */
export function diskTags({ rotational, name }: DiskFacts): readonly string[] {
  if (rotational) return ['rotary'];
  return name.startsWith('nvme') ? ['ssd', 'nvme'] : ['ssd'];
}

export function blockDevicesJson(
  machine: Pick<ShownMachine, 'id' | 'disks' | 'rootDiskSerial'>,
): readonly BlockDeviceJson[] {
  const root = rootDisk(machine)?.id;
  return localDisks(machine.disks).map(({ id, disk }) => ({
    system_id: machine.id,
    id,
    name: disk.name,
    uuid: null,
    type: 'physical',
    path: `/dev/disk/by-dname/${disk.name}`,
    model: disk.model || null,
    serial: disk.serial || null,
    id_path: disk.serial === '' ? null : `/dev/disk/by-id/${disk.serial}`,
    size: disk.bytes,
    block_size: 512,
    available_size: id === root ? 0 : disk.bytes,
    used_size: id === root ? disk.bytes : 0,
    used_for: id === root ? 'The image is written to it' : 'Unused',
    tags: diskTags(disk),
    filesystem: null,
    partition_table_type: id === root ? 'GPT' : null,
    partitions: [],
    firmware_version: null,
    storage_pool: null,
    numa_node: 0,
    resource_uri: `${apiRoot}/nodes/${machine.id}/blockdevices/${id}/`,
  }));
}
