import type { BootOrder, NicPlanEntry, PhaseOrder, StoredImage } from '../../../../plugin-api/index.ts';

/** What placing the order means, one line each, for people (law 8). First-boot data shows by file name only. */
export function planLines(
  order: PhaseOrder,
  placed: BootOrder,
  image: StoredImage | null,
): readonly string[] {
  const lines = [
    `boot service: hand out ${order.phase} order ${order.id} to ${order.hostname} (${order.macs.join(', ')})`,
  ];
  switch (order.phase) {
    case 'commission':
      return lines;
    case 'erase':
      return [
        ...lines,
        `ramdisk agent: erase ${diskNames(placed.work['disks'])} and every other writable local disk, grade ${order.grade}`,
      ];
    case 'deploy': {
      const disk = diskNames([placed.work['rootDisk']]);
      return [
        ...lines,
        `ramdisk agent: write image ${order.image} (${image?.encoding}, ${image?.storedBytes} bytes stored, ` +
          `${image?.rawBytes} bytes raw, sha256 ${image?.sha256}) to ${disk}`,
        ...order.nicPlan.map((entry) => `first boot: ${nicLine(entry)}`),
        image?.firstBoot === 'none'
          ? 'first boot: the image takes no first-boot data'
          : `first boot: NoCloud ${Object.keys(placed.firstBootFiles).join(', ')}, instance id ${order.firstBoot.instanceId}, hostname ${order.firstBoot.hostname}`,
      ];
    }
  }
}

function nicLine(entry: NicPlanEntry): string {
  const address = [`MAC ${entry.mac}`, ...(entry.dhcp ? ['DHCP'] : []), ...(entry.addresses ?? [])].join(
    ', ',
  );
  switch (entry.kind) {
    case 'bond':
      return `${entry.name} ${entry.mode} over ${entry.members.join(', ')}, ${address}`;
    case 'nic':
      return `${entry.name} on ${entry.hardware}, ${address}`;
    case 'vlan':
      return `${entry.name} VLAN ${entry.vlan} on ${entry.link}, ${address}`;
  }
}

function diskNames(disks: unknown): string {
  const list = disks as readonly { readonly name: string; readonly serial: string }[];
  return list.length === 0 ? 'no known disk' : list.map((disk) => `${disk.name} (${disk.serial})`).join(', ');
}
