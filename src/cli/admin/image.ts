import { Command, InvalidArgumentError, Option } from 'commander';
import type { Terminal } from '../terminal.ts';
import { size, table, time } from '../table.ts';
import type { ImageView } from './api-types.ts';
import { adminRun, adminVerb, type AdminOptions } from './verb.ts';

interface AddOptions extends AdminOptions {
  readonly name: string;
  readonly alias: readonly string[];
  readonly bond: boolean;
  readonly firstBoot: string;
  readonly rawBytes?: number;
  readonly sha256?: string;
}

/** `csbm image` */
export function imageCommand(terminal: Terminal): Command {
  const group = new Command('image');

  adminVerb(
    group
      .command('add <file>')
      .description('upload a disk image: raw, gzip, zstd; or qcow2, VMDK, VHD, which are converted'),
  )
    .requiredOption('--name <name>', 'its name, for templates csbm://NAME')
    .option('--alias <template>', 'a template URL that means this image too (repeatable)', collect, [])
    .option('--no-bond', 'its first boot cannot make a bond')
    .addOption(
      new Option('--first-boot <format>', 'how it takes its first-boot data')
        .choices(['nocloud', 'none'])
        .default('nocloud'),
    )
    .option('--raw-bytes <n>', 'its unpacked size, where the service cannot measure it', wholeNumber)
    .option('--sha256 <hex>', 'checksum of the file, which the service compares', checksum)
    .action(async (file: string, options: AddOptions) => {
      const { client, print } = await adminRun(terminal, options);
      const query = new URLSearchParams({
        name: options.name,
        canBond: String(options.bond),
        firstBoot: options.firstBoot,
        ...(options.rawBytes !== undefined && { rawBytes: String(options.rawBytes) }),
        ...(options.sha256 !== undefined && { sha256: options.sha256 }),
      });
      for (const alias of options.alias) query.append('alias', alias);
      const { uploadImage } = await import('./upload-image.ts');
      const document = await uploadImage<{ readonly image: ImageView }>(client, file, query, {
        terminal,
        quiet: options.json ?? false,
      });
      const { image } = document;
      print(
        document,
        () =>
          `${image.name}: ${image.encoding}, ${size(image.storedBytes)}, unpacks to ${size(image.rawBytes)}, SHA-256 ${image.sha256}`,
      );
    });

  adminVerb(group.command('list').description('images, with what they can take')).action(
    async (options: AdminOptions) => {
      const { client, print } = await adminRun(terminal, options);
      const document = await client.get<{ readonly images: readonly ImageView[] }>('/images');
      print(document, () =>
        table(
          ['NAME', 'STORED', 'UNPACKED', 'FORMAT', 'BOND', 'FIRST BOOT', 'ADDED', 'ALIASES'],
          document.images.map((at) => [
            at.name,
            size(at.storedBytes),
            size(at.rawBytes),
            at.encoding,
            at.canBond ? 'yes' : 'no',
            at.firstBoot,
            time(at.createdAt),
            at.aliases.join(' '),
          ]),
        ),
      );
    },
  );

  adminVerb(group.command('rm <name>').description('remove an image that no install needs')).action(
    async (name: string, options: AdminOptions) => {
      const { client, print } = await adminRun(terminal, options);
      await client.call('DELETE', `/images/${encodeURIComponent(name)}`);
      print({ removed: name }, () => `${name} is removed`);
    },
  );
  return group;
}

function collect(value: string, before: readonly string[]): readonly string[] {
  return [...before, value];
}

function checksum(text: string): string {
  if (!/^[0-9a-f]{64}$/i.test(text)) throw new InvalidArgumentError('write 64 hexadecimal digits');
  return text;
}

function wholeNumber(text: string): number {
  const number = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(number) || number < 1)
    throw new InvalidArgumentError('write a whole number of bytes');
  return number;
}
