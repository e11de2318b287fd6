import {
  DeviceError,
  type BootOrder,
  type DiskFacts,
  type JsonObject,
  type PhaseOrder,
  type StoredImage,
} from '../../../../plugin-api/index.ts';
import { noCloudFiles, noCloudLabel } from './nocloud.ts';
import { chooseRootDisk, firstBootBytes } from './root-disk.ts';

/**
 * The boot order for a phase: what `begin` places and what `plan` describes. Its work is the agent protocol's (docs/boot-protocol.md
 * section 3), with URLs as paths: the boot service knows by which address machines reach it.
 * @param image the image of a deploy; null where the catalogue has none of that name.
 * @throws DeviceError `deploy.image-unknown`, `deploy.no-disk`
 */
export function bootOrderOf(order: PhaseOrder, image: StoredImage | null): BootOrder {
  const { id, machineId, macs, phase } = order;
  const base = { id, machineId, macs, phase, image: null, firstBootFiles: {} };
  switch (order.phase) {
    case 'commission':
      return { ...base, work: { id, phase } };
    case 'erase':
      return {
        ...base,
        work: { id, phase, grade: order.grade, disks: order.disks.filter(isErasable).map(identityOf) },
      };
    case 'deploy': {
      if (image === null) {
        throw new DeviceError({
          code: 'deploy.image-unknown',
          what: `there is no image "${order.image}"`,
          where: order.hostname,
        });
      }
      const needed = image.rawBytes + (image.firstBoot === 'none' ? 0 : firstBootBytes);
      const disk = chooseRootDisk(order.disks, order.rootDisk, needed, order.hostname);
      const files = image.firstBoot === 'nocloud' ? noCloudFiles(order.firstBoot, order.nicPlan) : {};
      return { ...base, image: image.name, firstBootFiles: files, work: deployWork(id, image, disk, files) };
    }
  }
}

function deployWork(
  id: string,
  image: StoredImage,
  disk: DiskFacts,
  files: Readonly<Record<string, string>>,
): JsonObject {
  const { encoding, sha256, storedBytes, rawBytes } = image;
  return {
    id,
    phase: 'deploy',
    image: { url: '/boot/v1/agent/image', encoding, sha256, storedBytes, rawBytes },
    rootDisk: identityOf(disk),
    firstBoot:
      image.firstBoot === 'none'
        ? null
        : {
            label: noCloudLabel,
            files: Object.keys(files).map((name) => ({ name, url: `/boot/v1/agent/first-boot/${name}` })),
          },
  };
}

/** A removable disk (a virtual CD or stick of the BMC) comes and goes, and a read-only one cannot hold a tenant's data. */
function isErasable(disk: DiskFacts): boolean {
  return !disk.readOnly && !disk.removable;
}

function identityOf(disk: DiskFacts): {
  readonly name: string;
  readonly serial: string;
  readonly bytes: number;
} {
  return { name: disk.name, serial: disk.serial, bytes: disk.bytes };
}
