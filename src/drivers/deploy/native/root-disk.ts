import { DeviceError, type DiskFacts, type RootDiskHint } from '../../../../plugin-api/index.ts';

/**
 * What an image with first-boot data needs behind itself, in bytes: the agent's partition of 4 MiB, and up to 2 MiB because that
 * begins on a whole MiB and the backup GPT follows (`agent/deploy.sh` asks for the same before it writes).
 */
export const firstBootBytes = 6 * 1024 * 1024;

/**
 * The disk to install to: the one with the hinted serial, else the smallest; always writable, not removable, and large enough
 * for what is written and for the hint.
 * @param neededBytes the image, unpacked, and its first-boot data
 * @throws DeviceError `deploy.no-disk` with what is wrong about each disk.
 */
export function chooseRootDisk(
  disks: readonly DiskFacts[],
  hint: RootDiskHint,
  neededBytes: number,
  where: string,
): DiskFacts {
  const bytes = Math.max(hint.minBytes ?? 0, neededBytes);
  const fitting = disks.filter((disk) => objections(disk, hint, bytes).length === 0);
  const best = fitting.reduce<DiskFacts | null>(
    (smallest, disk) => (smallest === null || disk.bytes < smallest.bytes ? disk : smallest),
    null,
  );
  if (best) return best;
  const wanted = hint.serial === undefined ? '' : ` with serial ${hint.serial}`;
  throw new DeviceError({
    code: 'deploy.no-disk',
    what: `no disk${wanted} of at least ${bytes} bytes to install to`,
    where,
    said:
      disks.length === 0
        ? 'the inventory has no disks'
        : disks
            .map((disk) => `${disk.name} (${disk.serial}): ${objections(disk, hint, bytes).join(', ')}`)
            .join('; '),
  });
}

function objections(disk: DiskFacts, hint: RootDiskHint, bytes: number): readonly string[] {
  return [
    hint.serial !== undefined && disk.serial !== hint.serial ? 'another serial' : null,
    disk.readOnly ? 'read-only' : null,
    disk.removable ? 'removable' : null,
    disk.bytes < bytes ? `only ${disk.bytes} bytes` : null,
  ].filter((objection) => objection !== null);
}
