import { DeviceError, type DiskFacts, type EraseGrade, type Evidence } from '../../../plugin-api/index.ts';

/** A grade that leaves something to prove. */
export type ProvenGrade = Exclude<EraseGrade, 'none'>;

/** What the agent says it did to one disk (docs/boot-protocol.md section 4). */
export interface ErasedDisk {
  readonly name: string;
  readonly serial: string;
  readonly bytes: number;
  /** What was really reached. */
  readonly grade: ProvenGrade;
  /** For example `nvme-format-ses1`, `ata-security-erase`, `overwrite-zero`. */
  readonly method: string;
  /** Whether the disk has a secure erase of its own. */
  readonly secureCapable: boolean;
  /** Signatures (file systems, partition tables, RAID) found afterwards. */
  readonly signaturesLeft: number;
  /** Places read back, and how many of them were not zero. */
  readonly samples: number;
  readonly dirtySamples: number;
  readonly seconds: number;
}

export interface EraseReport {
  readonly disks: readonly ErasedDisk[];
}

/** A disk that must be in the report. Read-only and removable ones of an inventory are not erased, hence not expected. */
export type ExpectedDisk = Pick<DiskFacts, 'name' | 'serial' | 'bytes'> &
  Partial<Pick<DiskFacts, 'readOnly' | 'removable'>>;

const rank: Readonly<Record<ProvenGrade, number>> = { quick: 1, full: 2, secure: 3 };

/**
 * Judges an erase by what the agent reported, not by its "ok": every writable disk of the inventory is there, whole; every
 * disk (also one that the inventory does not know) reached the grade, without signatures, and read back zero for full and
 * secure. `secure` of a disk that has no secure erase of its own is satisfied by `full`.
 * @returns the evidence, or a DeviceError `deploy.disk-missing` or `deploy.erase-unproven`.
 */
export function judgeErase(
  report: EraseReport,
  inventory: readonly ExpectedDisk[],
  asked: ProvenGrade,
): Evidence | DeviceError {
  const expected = inventory.filter((disk) => disk.readOnly !== true && disk.removable !== true);
  const missing = unreported(expected, report.disks);
  if (missing.length > 0) {
    return new DeviceError({
      code: 'deploy.disk-missing',
      what: `the erase did not cover ${missing.map(describe).join(', ')}`,
      said: report.disks.length > 0 ? `erased ${report.disks.map(describe).join(', ')}` : 'no disks erased',
    });
  }
  const doubts = report.disks.flatMap((disk) => {
    const reason = doubt(disk, asked);
    return reason === null ? [] : [`${describe(disk)}: ${reason}`];
  });
  if (doubts.length > 0) {
    return new DeviceError({
      code: 'deploy.erase-unproven',
      what: `the erase to grade ${asked} is not proven`,
      said: doubts.join('; '),
    });
  }
  return {
    summary:
      report.disks.length === 0
        ? `no writable disk to erase (asked: ${asked})`
        : `erased (asked: ${asked}): ${report.disks.map((disk) => `${describe(disk)} ${disk.grade} by ${disk.method}`).join(', ')}`,
    verified: true,
    data: { asked, disks: report.disks.map((disk) => ({ ...disk })) },
  };
}

/** Expected disks without a partner in the report. Each reported disk answers for one; serial first, as names may move. */
function unreported(
  expected: readonly ExpectedDisk[],
  reported: readonly ErasedDisk[],
): readonly ExpectedDisk[] {
  const left = [...reported];
  const bySerialFirst = [...expected].sort((a, b) => Number(b.serial !== '') - Number(a.serial !== ''));
  return bySerialFirst.filter((disk) => {
    const index = left.findIndex((candidate) => isSame(disk, candidate));
    if (index >= 0) left.splice(index, 1);
    return index < 0;
  });
}

/** The same disk, and not a smaller part of it: what a disk no longer shows was not erased. */
function isSame(disk: ExpectedDisk, candidate: ErasedDisk): boolean {
  if (candidate.bytes < disk.bytes) return false;
  return disk.serial !== ''
    ? candidate.serial === disk.serial
    : candidate.name === disk.name && candidate.serial === '' && candidate.bytes === disk.bytes;
}

function doubt(disk: ErasedDisk, asked: ProvenGrade): string | null {
  const needed = asked === 'secure' && !disk.secureCapable ? 'full' : asked;
  if (rank[disk.grade] < rank[needed]) return `only ${disk.grade} was reached (by ${disk.method})`;
  if (disk.signaturesLeft > 0) return `${disk.signaturesLeft} signatures are left`;
  if (needed === 'quick') return null;
  if (disk.samples < 1) return 'nothing was read back';
  if (disk.dirtySamples > 0) return `${disk.dirtySamples} of ${disk.samples} samples are not zero`;
  return null;
}

function describe(disk: Pick<ErasedDisk, 'name' | 'serial' | 'bytes'>): string {
  return `${disk.name} (${disk.serial === '' ? 'no serial' : disk.serial}, ${disk.bytes} bytes)`;
}
