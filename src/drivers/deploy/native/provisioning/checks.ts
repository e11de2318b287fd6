import { constants } from 'node:fs';
import { access, readFile } from 'node:fs/promises';
import { get } from 'node:http';
import { BlockList } from 'node:net';
import { dirname, join } from 'node:path';
import { systemPath, type HostInterface, type HostNetwork, type UdpSocket } from './host-network.ts';
import { bootFiles, type ProvisioningSettings } from './settings.ts';

/** Something that must hold, or should, for the provisioning network to be served. */
export interface Check {
  readonly name: string;
  readonly outcome: 'ok' | 'warning' | 'failed';
  readonly what: string;
  readonly remedy: string | null;
  /** Debian packages whose absence is the reason. */
  readonly packages: readonly string[];
}

export const ok = (name: string, what: string): Check => ({
  name,
  outcome: 'ok',
  what,
  remedy: null,
  packages: [],
});

export const warning = (name: string, what: string, remedy: string): Check => ({
  name,
  outcome: 'warning',
  what,
  remedy,
  packages: [],
});

export const failed = (
  name: string,
  what: string,
  remedy: string,
  packages: readonly string[] = [],
): Check => ({ name, outcome: 'failed', what, remedy, packages });

/** Absolute path of a program: as given, or looked up in PATH and the folders of the system; null = it is not there. */
export async function findProgram(name: string): Promise<string | null> {
  const candidates = name.includes('/')
    ? [name]
    : systemPath()
        .split(':')
        .map((folder) => join(folder, name));
  for (const candidate of candidates) if (await may(candidate, constants.X_OK)) return candidate;
  return null;
}

async function may(path: string, mode: number): Promise<boolean> {
  return access(path, mode).then(
    () => true,
    () => false,
  );
}

/** dnsmasq itself, and the programs by which the network is looked at. */
export async function programChecks(dnsmasq: string): Promise<readonly Check[]> {
  const found = await findProgram(dnsmasq);
  const missing: string[] = [];
  for (const tool of ['ip', 'ss']) if ((await findProgram(tool)) === null) missing.push(tool);
  return [
    found === null
      ? failed('dnsmasq', `the program ${dnsmasq} is not there`, 'apt-get install dnsmasq-base', [
          'dnsmasq-base',
        ])
      : ok('dnsmasq', found),
    missing.length > 0
      ? failed('iproute2', `missing: ${missing.join(', ')}`, 'apt-get install iproute2', ['iproute2'])
      : ok('iproute2', 'ip and ss are there'),
  ];
}

export async function bootFileCheck(tftpDir: string): Promise<Check> {
  const missing: string[] = [];
  for (const file of Object.values(bootFiles))
    if (!(await may(join(tftpDir, file), constants.R_OK))) missing.push(file);
  return missing.length === 0
    ? ok('iPXE files', `${Object.values(bootFiles).join(' and ')} in ${tftpDir}`)
    : failed(
        'iPXE files',
        `${missing.join(' and ')} cannot be read in ${tftpDir}`,
        'apt-get install ipxe, and leave provisioning.network.tftpDir at /usr/lib/ipxe',
        ['ipxe'],
      );
}

/** The ramdisk that machines boot: the service hands it out, and somebody has to have put it there. */
export async function ramdiskCheck(stateDir: string): Promise<Check> {
  const folder = join(stateDir, 'ramdisk');
  const missing: string[] = [];
  for (const file of ['vmlinuz', 'initrd'])
    if (!(await may(join(folder, file), constants.R_OK))) missing.push(file);
  return missing.length === 0
    ? ok('ramdisk', `vmlinuz and initrd in ${folder}`)
    : failed(
        'ramdisk',
        `${missing.join(' and ')} cannot be read in ${folder}`,
        `build it: make ramdisk OUT=${folder} (docs/ramdisk.md)`,
      );
}

/** Everything but adding virtual disks to the images works without. */
export async function conversionCheck(qemuImg: string): Promise<Check> {
  const found = await findProgram(qemuImg);
  if (found !== null) return ok('qemu-img', found);
  return {
    ...warning(
      'qemu-img',
      `the program ${qemuImg} is not there: qcow2, VMDK and VHD images cannot be converted`,
      'apt-get install qemu-utils, if such images are to be added',
    ),
    packages: ['qemu-utils'],
  };
}

/** The folder is made at the first start; until then its parent counts. */
export async function stateFolderCheck(stateDir: string): Promise<Check> {
  let existing = stateDir;
  while (existing !== dirname(existing) && !(await may(existing, constants.F_OK)))
    existing = dirname(existing);
  return (await may(existing, constants.W_OK | constants.X_OK))
    ? ok('state folder', stateDir)
    : failed(
        'state folder',
        `this user cannot write in ${existing}`,
        `make ${stateDir} writable for the service`,
      );
}

/** That the interface is the one that was meant: it exists, has the address, and does not lead to the rest of the world. */
export function interfaceCheck(settings: ProvisioningSettings, host: HostNetwork): Check {
  const name = 'interface';
  const wanted = `${settings.address}/${settings.prefix}`;
  const found = findInterface(settings, host);
  if (!found) {
    const others = host.interfaces
      .filter((one) => !one.loopback && !host.defaultRoutes.includes(one.name))
      .map((one) => one.name);
    const choice = others.length > 0 ? `; there are: ${others.join(', ')}` : '';
    return failed(
      name,
      `there is no interface ${settings.interface}`,
      `correct provisioning.network.interface${choice}`,
    );
  }
  if (found.loopback)
    return failed(
      name,
      `${found.name} is the loopback`,
      'name the interface that is on the provisioning network',
    );
  if (host.defaultRoutes.includes(found.name))
    return failed(
      name,
      `${found.name} carries a default route: DHCP there would answer machines that are not ours`,
      'name an interface that is on the provisioning network only',
    );
  if (!found.up) return failed(name, `${found.name} is down`, `ip link set ${found.name} up`);
  const addresses = found.addresses.filter((one) => one.family === 'inet');
  if (!addresses.some((one) => one.address === settings.address && one.prefix === settings.prefix)) {
    const has = addresses.map((one) => `${one.address}/${one.prefix}`).join(', ') || 'no IPv4 address';
    return failed(
      name,
      `${found.name} has not the address ${wanted}, but ${has}`,
      `ip address add ${wanted} dev ${found.name}, or correct provisioning.network.address`,
    );
  }
  if (!found.carrier)
    return warning(
      name,
      `${found.name} has ${wanted}, but no carrier`,
      'check the cable and the switch port',
    );
  return ok(name, `${found.name} is up with ${wanted}`);
}

export function findInterface(settings: ProvisioningSettings, host: HostNetwork): HostInterface | null {
  return host.interfaces.find((one) => one.name === settings.interface) ?? null;
}

/** A prefix can only be advertised that the interface itself has. */
export function advertisementCheck(settings: ProvisioningSettings, host: HostNetwork): Check {
  const name = 'router advertisements';
  if (!settings.routerAdvertisements)
    return warning(
      name,
      'off: iPXE waits 13 s at each boot',
      'provisioning.network.routerAdvertisements: true',
    );
  const own = findInterface(settings, host)?.addresses.find(
    (one) => one.family === 'inet6' && one.scope === 'global' && one.prefix === 64,
  );
  return own
    ? ok(name, `of the prefix of ${own.address}/64`)
    : warning(
        name,
        `${settings.interface} has no IPv6 address of a /64: iPXE waits 13 s at each boot`,
        `ip address add fd77::1/64 dev ${settings.interface} nodad (any unique local prefix)`,
      );
}

/** UDP ports of DHCP and TFTP, unless a dnsmasq of ours (by pid) has them. */
export function portCheck(settings: ProvisioningSettings, host: HostNetwork, ours: readonly number[]): Check {
  const name = 'UDP 67 and 69';
  const reaches = ({ address, device }: UdpSocket): boolean =>
    (device === null || device === settings.interface) &&
    ['0.0.0.0', '*', '::', settings.address].includes(address);
  const taken = host.udp.filter((socket) => [67, 69].includes(socket.port) && reaches(socket));
  const foreign = taken.find((socket) => !socket.owner || !ours.includes(socket.owner.pid));
  if (foreign) {
    const by = foreign.owner ? `${foreign.owner.program} (pid ${foreign.owner.pid})` : 'another process';
    return failed(
      name,
      `UDP port ${foreign.port} is taken on ${settings.interface} by ${by}`,
      `keep that program off ${settings.interface}`,
    );
  }
  return ok(name, taken.length > 0 ? "taken by csbm's own dnsmasq" : `free on ${settings.interface}`);
}

const capabilities = [
  { name: 'CAP_NET_BIND_SERVICE', bit: 10n },
  { name: 'CAP_NET_ADMIN', bit: 12n },
  { name: 'CAP_NET_RAW', bit: 13n },
] as const;

/** What a program started from here may do (capabilities(7)). */
export interface Rights {
  readonly user: number;
  /** Capabilities that a program keeps which root starts: effective; others hand on only ambient ones. */
  readonly inherited: bigint;
}

export async function readRights(): Promise<Rights> {
  const status = await readFile('/proc/self/status', 'utf8');
  const user = process.geteuid?.() ?? -1;
  const kind = user === 0 ? 'CapEff' : 'CapAmb';
  return {
    user,
    inherited: BigInt(`0x${new RegExp(`^${kind}:\\s*([0-9a-f]+)`, 'm').exec(status)?.[1] ?? '0'}`),
  };
}

export function rightsCheck({ user, inherited }: Rights): Check {
  const name = 'rights';
  const missing = capabilities.filter(({ bit }) => ((inherited >> bit) & 1n) === 0n).map((one) => one.name);
  const who = user === 0 ? 'root' : `user ${user}`;
  return missing.length === 0
    ? ok(name, `${who} may open the ports of DHCP and TFTP`)
    : failed(
        name,
        `${who} cannot give dnsmasq ${missing.join(', ')}`,
        `run the service as root, or with AmbientCapabilities=${capabilities.map((one) => one.name).join(' ')} in its systemd unit`,
      );
}

/** Machines get neither a router nor a name server: only an address of their own network is of use to them. */
export function bootUrlCheck(settings: ProvisioningSettings): Check {
  const name = 'boot URL';
  const { hostname } = new URL(settings.bootUrl);
  const own = new BlockList();
  own.addSubnet(settings.address, settings.prefix);
  return /^\d+(\.\d+){3}$/.test(hostname) && own.check(hostname)
    ? ok(name, settings.bootUrl)
    : failed(
        name,
        `machines of ${settings.address}/${settings.prefix} cannot reach ${settings.bootUrl}: they know addresses of that network only`,
        `set boot.host: ${settings.address} (or boot.publicUrl to a URL with such an address)`,
      );
}

/** Asks the boot service for the first script, as machines do, from the interface's address. */
export async function bootServiceCheck(settings: ProvisioningSettings): Promise<Check> {
  const name = 'boot service';
  const url = `${settings.bootUrl}/boot.ipxe`;
  try {
    const { status, text } = await fetchFrom(settings.address, url);
    return status === 200 && text.startsWith('#!ipxe')
      ? ok(name, `${url} answers`)
      : failed(name, `${url} answers ${status}, but not with a boot script`, 'see who listens there');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return failed(
      name,
      `${url} cannot be fetched from ${settings.address}: ${code ?? message}`,
      'start the service (csbm serve), and see that boot.host and boot.port are those of this URL',
    );
  }
}

/** A script of that size is far larger than ours. */
const longestScript = 64 * 1024;
/** In milliseconds; the service is on this host. */
const fetchPatience = 5_000;

function fetchFrom(
  localAddress: string,
  url: string,
): Promise<{ readonly status: number; readonly text: string }> {
  return new Promise((resolve, reject) => {
    const request = get(
      url,
      { localAddress, agent: false, signal: AbortSignal.timeout(fetchPatience) },
      (answer) => {
        let text = '';
        answer.setEncoding('utf8').on('data', (chunk: string) => {
          text += chunk;
          if (text.length > longestScript) request.destroy(new Error('the answer is too long'));
        });
        answer.once('end', () => resolve({ status: answer.statusCode ?? 0, text }));
        answer.once('error', reject);
      },
    );
    request.once('error', reject);
  });
}
