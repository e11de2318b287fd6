import type { LabDisk } from './lab-disk.ts';

/**
 * What a running tenant leaves on the disk: its instance id, written between image and first-boot data, where a quick
 * erase does not reach. Whoever finds one of another tenant has found what must not be there.
 */
const magic = Buffer.from('LABDATA1', 'ascii');
const longest = 256;

export function writeTenantMark(disk: LabDisk, instanceId: string): void {
  const text = Buffer.from(instanceId).subarray(0, longest - magic.length - 1);
  disk.write(place(disk), Buffer.concat([magic, Buffer.from([text.length]), text], longest));
}

/** The instance id that some tenant left, or null. */
export function readTenantMark(disk: LabDisk): string | null {
  const found = disk.read(place(disk), longest);
  if (!found.subarray(0, magic.length).equals(magic)) return null;
  return found.toString('utf8', magic.length + 1, magic.length + 1 + found[magic.length]!);
}

function place(disk: LabDisk): number {
  return Math.floor((disk.bytes * 5) / 8);
}
