import { chmod, copyFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { bootFiles, scriptFile, type ProvisioningSettings } from './settings.ts';

/** Puts all that machines load by TFTP into one folder, readable by everyone: iPXE, and the script that it begins with. */
export async function fillTftpFolder(
  { tftpDir, tftpRoot }: ProvisioningSettings,
  firstScript: string,
): Promise<void> {
  await mkdir(tftpRoot, { recursive: true });
  const script = join(tftpRoot, scriptFile);
  await writeFile(script, firstScript);
  const files = Object.values(bootFiles);
  for (const file of files) await copyFile(join(tftpDir, file), join(tftpRoot, file));
  // Whatever the service's umask is.
  await chmod(tftpRoot, 0o755);
  for (const file of [scriptFile, ...files]) await chmod(join(tftpRoot, file), 0o644);
}
