import { createHash } from 'node:crypto';
import { join } from 'node:path';

/** The provisioning network as far as dnsmasq serves it: complete and, as far as the configuration can tell, sound. */
export interface ProvisioningSettings {
  /** The one interface that is served. */
  readonly interface: string;
  /** IPv4 address of that interface. */
  readonly address: string;
  readonly prefix: number;
  readonly range: { readonly first: string; readonly last: string };
  readonly routerAdvertisements: boolean;
  /** Folder of the iPXE boot files. */
  readonly tftpDir: string;
  /** A path, or a name that is looked up. */
  readonly dnsmasq: string;
  /** Folder of dnsmasq's configuration and leases: ours alone, absolute. */
  readonly folder: string;
  /** Folder that dnsmasq hands out by TFTP: ours alone, absolute; whatever user dnsmasq runs as can read it. */
  readonly tftpRoot: string;
  /** By which machines reach the boot service, without a slash at the end. */
  readonly bootUrl: string;
}

/** The section `provisioning.network` of the configuration. */
export interface ConfiguredNetwork extends Pick<
  ProvisioningSettings,
  'routerAdvertisements' | 'tftpDir' | 'dnsmasq'
> {
  readonly interface?: string | undefined;
  readonly address?: { readonly host: string; readonly prefix: number } | undefined;
  readonly range?: ProvisioningSettings['range'] | undefined;
}

/** The settings, or null when interface, address or range are not given. */
export function provisioningSettings(
  network: ConfiguredNetwork,
  stateDir: string,
  bootUrl: string,
): ProvisioningSettings | null {
  if (!network.interface || !network.address || !network.range) return null;
  const folder = join(stateDir, 'provisioning');
  return {
    interface: network.interface,
    address: network.address.host,
    prefix: network.address.prefix,
    range: network.range,
    routerAdvertisements: network.routerAdvertisements,
    tftpDir: network.tftpDir,
    dnsmasq: network.dnsmasq,
    folder,
    tftpRoot: tftpRoot(folder),
    bootUrl: bootUrl.replace(/\/+$/, ''),
  };
}

/** Started by root, dnsmasq becomes a user who may not look into the state folder. */
function tftpRoot(folder: string): string {
  if (process.geteuid?.() !== 0) return join(folder, 'tftp');
  return `/run/csbm/tftp-${createHash('sha256').update(folder).digest('hex').slice(0, 8)}`;
}

/** What iPXE loads first, by TFTP: a script that asks the boot service for more until it answers. */
export const scriptFile = 'boot.ipxe';

/** What machines load by TFTP or HTTP to get into iPXE; Debian's package `ipxe` brings them. */
export const bootFiles = { bios: 'undionly.kpxe', efi64: 'snponly.efi' } as const;

/** Where UEFI HTTP boot finds its boot file, on the boot service. */
export const httpBootPath = `/ipxe/${bootFiles.efi64}`;

export function configFile(settings: ProvisioningSettings): string {
  return join(settings.folder, 'dnsmasq.conf');
}

export function leaseFile(settings: ProvisioningSettings): string {
  return join(settings.folder, 'leases');
}

/** How we call dnsmasq, and by what we know one of ours again: no other one has our configuration. */
export function dnsmasqArguments(settings: ProvisioningSettings): readonly string[] {
  return ['-k', `--conf-file=${configFile(settings)}`];
}
