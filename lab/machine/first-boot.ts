import { createHash } from 'node:crypto';
import { parse } from 'yaml';
import type { LabDisk } from './lab-disk.ts';

/**
 * The lab's stand-in for the small file system at the end of the disk: in the last 256 KiB, `LABSEED1`, the length of
 * the body as 32 bits big endian, the body's SHA-256 (32 bytes), and the body: JSON with the label and the files' texts.
 */
const magic = Buffer.from('LABSEED1', 'ascii');
const headerBytes = magic.length + 4 + 32;
export const firstBootBytes = 256 * 1024;

export interface FirstBootContainer {
  /** File system label: cloud-init's NoCloud looks for `cidata` or `CIDATA`. */
  readonly label: string;
  readonly files: Readonly<Record<string, string>>;
}

/** @throws Error when the files do not fit. */
export function writeFirstBoot(disk: LabDisk, container: FirstBootContainer): void {
  const body = Buffer.from(JSON.stringify(container));
  if (headerBytes + body.length > firstBootBytes)
    throw new Error(`first-boot files of ${body.length} bytes do not fit into ${firstBootBytes}`);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(body.length);
  const digest = createHash('sha256').update(body).digest();
  disk.write(disk.bytes - firstBootBytes, Buffer.concat([magic, length, digest, body], firstBootBytes));
}

/** The container on the disk; null when there is none or it is damaged. */
export function readFirstBoot(disk: LabDisk): FirstBootContainer | null {
  const start = Math.max(0, disk.bytes - firstBootBytes);
  const header = disk.read(start, headerBytes);
  if (!header.subarray(0, magic.length).equals(magic)) return null;
  const length = header.readUInt32BE(magic.length);
  if (headerBytes + length > firstBootBytes) return null;
  const body = disk.read(start + headerBytes, length);
  if (
    !createHash('sha256')
      .update(body)
      .digest()
      .equals(header.subarray(magic.length + 4))
  )
    return null;
  return JSON.parse(body.toString('utf8')) as FirstBootContainer;
}

/** Where cloud-init's NoCloud source looks for files in the system itself. */
const seedFolder = '/var/lib/cloud/seed/nocloud/';

/** What the first boot of a system makes of itself. */
export interface Succession {
  /** The first-boot data of the next boot. */
  readonly container: FirstBootContainer;
  readonly powerOff: boolean;
}

/**
 * What cloud-init does with a cloud-config that writes another NoCloud seed into the system (modules `write_files` and
 * `power_state`): null for user data that does not.
 */
export function successionOf({ files }: FirstBootContainer): Succession | null {
  const text = files['user-data'];
  if (!text?.startsWith('#cloud-config')) return null;
  const config = parse(text) as CloudConfig | null;
  const written = (config?.write_files ?? []).map(({ path, content, encoding }) => ({
    path,
    text: encoding === 'b64' ? Buffer.from(content, 'base64').toString('utf8') : content,
  }));
  const seed = written.filter(({ path }) => path.startsWith(seedFolder));
  const retires = written.some(({ text: line }) => /^datasource_list: *\[ *NoCloud\b/m.test(line));
  if (seed.length === 0 || !retires) return null;
  return {
    container: {
      label: 'cidata',
      files: Object.fromEntries(seed.map((file) => [file.path.slice(seedFolder.length), file.text])),
    },
    powerOff: config?.power_state?.mode === 'poweroff',
  };
}

interface CloudConfig {
  readonly write_files?: readonly {
    readonly path: string;
    readonly content: string;
    readonly encoding?: string;
  }[];
  readonly power_state?: { readonly mode?: string };
}
