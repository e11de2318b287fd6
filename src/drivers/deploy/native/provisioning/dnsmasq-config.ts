import { ServiceError } from '../../../../kernel/errors/service-error.ts';
import { bootFiles, httpBootPath, leaseFile, scriptFile, type ProvisioningSettings } from './settings.ts';

/** The BOOTP header has 128 bytes for the boot file, the last of them zero (RFC 2131, section 2). */
const longestBootFile = 127;

/**
 * The configuration of dnsmasq. It serves exactly one interface; the decision about a machine is never here, but the boot
 * service's at one URL that is the same for all of them.
 * @throws ServiceError `config.invalid` when a path or URL cannot be written there, or the URL is too long for DHCP
 */
export function dnsmasqConfig(settings: ProvisioningSettings): string {
  const { prefix, range } = settings;
  const name = plain('provisioning.network.interface', settings.interface);
  const tftpRoot = plain('stateDir', settings.tftpRoot);
  const leases = plain('stateDir', leaseFile(settings));
  const efiByHttp = bootFile(settings.bootUrl + httpBootPath);
  return [
    '# Written by csbm at each start: changes here are lost.',
    // No DNS, and nothing of this host's own names.
    'port=0',
    'no-resolv',
    'no-hosts',
    // One interface; the loopback would join by itself.
    `interface=${name}`,
    'except-interface=lo',
    'bind-interfaces',
    // The default one belongs to the dnsmasq of the system.
    'pid-file=',
    'dhcp-authoritative',
    // Nobody else gives out addresses here, and asking costs 3 s at a first lease.
    'no-ping',
    `dhcp-range=${range.first},${range.last},${netmask(prefix)},10m`,
    `dhcp-lease-max=${numberOf(range.last) - numberOf(range.first) + 1}`,
    `dhcp-leasefile=${leases}`,
    // Nothing leads out of this network.
    'dhcp-option=option:router',
    // iPXE says so by option 175; whoever does not is firmware, and gets iPXE for its architecture (RFC 4578, RFC 5970).
    'dhcp-match=set:ipxe,175',
    'dhcp-match=set:bios,option:client-arch,0',
    'dhcp-match=set:efi64,option:client-arch,7',
    'dhcp-match=set:efi64,option:client-arch,9',
    'dhcp-match=set:http64,option:client-arch,16',
    // By TFTP and not from the boot service: dnsmasq outlives it, and iPXE that has the script waits for the boot service for
    // ever; iPXE that does not get it leaves the machine to its disk.
    `dhcp-boot=tag:ipxe,${scriptFile}`,
    `dhcp-boot=tag:!ipxe,tag:bios,${bootFiles.bios}`,
    `dhcp-boot=tag:!ipxe,tag:efi64,${bootFiles.efi64}`,
    // UEFI takes an offer for HTTP boot only with this vendor class.
    'dhcp-option-force=tag:!ipxe,tag:http64,option:vendor-class,HTTPClient',
    `dhcp-boot=tag:!ipxe,tag:http64,${efiByHttp}`,
    `enable-tftp=${name}`,
    `tftp-root=${tftpRoot}`,
    // After DHCP, iPXE waits for a router advertisement; the prefix is that of the interface's own IPv6 address.
    ...(settings.routerAdvertisements ? ['enable-ra', `dhcp-range=::,constructor:${name},ra-only,64`] : []),
    'log-dhcp',
    'log-facility=-',
    '',
  ].join('\n');
}

/** Commas, quotes, backslashes and # have a meaning in this file. */
function plain(setting: string, value: string): string {
  if (/^[\x20-\x7e]+$/.test(value) && !/[,"'\\#]/.test(value)) return value;
  throw new ServiceError({
    code: 'config.invalid',
    what: `${setting} has characters that dnsmasq's configuration cannot hold`,
    remedy: 'use letters, digits, spaces and the signs / . - _',
  });
}

function bootFile(url: string): string {
  if (url.length > longestBootFile)
    throw new ServiceError({
      code: 'config.invalid',
      what: `the boot URL has ${url.length} characters, DHCP can carry ${longestBootFile}`,
      where: url,
      remedy: 'make boot.publicUrl shorter',
    });
  return plain('boot.publicUrl', url);
}

function netmask(prefix: number): string {
  const bits = 2 ** 32 - 2 ** (32 - prefix);
  return [24, 16, 8, 0].map((shift) => (bits >>> shift) & 255).join('.');
}

function numberOf(address: string): number {
  return address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
}
