import type { JsonObject } from '../../../../plugin-api/index.ts';
import type { ShownMachine } from '../../../core/machine/machine.ts';
import { gatewayKey } from '../../../core/machine/profile.ts';
import type { Interface } from '../../../core/network/interface.ts';
import { describeWithholding } from '../../../core/quarantine/quarantine.ts';
import { JsonText, sharedText, withFields } from '../json-text.ts';
import { interfacesOf, type MachineSight } from '../machine-sight.ts';
import { statusMessage, statusOf, type EraseTold } from '../status.ts';
import type { Surroundings } from '../surroundings.ts';
import { blockDevicesJson, rootDisk } from './block-device.ts';
import { interfacesJson, interfaceText, type InterfaceJson } from './interface.ts';
import { apiRoot } from './resource-uri.ts';

/** Architectures as Linux calls them, in the words of Debian, which are MAAS's too. */
const architectures: Readonly<Record<string, string>> = {
  x86_64: 'amd64',
  i686: 'i386',
  aarch64: 'arm64',
  ppc64le: 'ppc64el',
  s390x: 's390x',
};

/** `amd64/generic` of `x86_64`. */
export function architectureName(architecture: string): string {
  return `${architectures[architecture] ?? architecture}/generic`;
}

/** `x86_64` of `amd64/generic`, `amd64` or `x86_64`; null when it is no architecture of MAAS's. */
export function architectureOf(name: string): string | null {
  const main = name.split('/', 1)[0]!;
  const found = Object.entries(architectures).find(([linux, debian]) => debian === main || linux === main);
  return found?.[0] ?? null;
}

/** Mebibytes. */
export function memoryOf({ memoryBytes }: Pick<ShownMachine, 'memoryBytes'>): number {
  return Math.round(memoryBytes / 2 ** 20);
}

const untested = { status: -1, name: 'Unknown' } as const;
const passed = { status: 2, name: 'Passed' } as const;

/** A machine as MAAS tells it, with every field that MAAS has: clients with strict schemas refuse the whole list otherwise. */
export function machineJson(
  sight: MachineSight,
  around: Surroundings,
  eraseTold: EraseTold,
): Readonly<Record<string, unknown>> {
  const { own, shared, interfaces, disks, bootDisk } = partsOf(sight, around, eraseTold);
  return {
    ...own,
    ...shared,
    boot_interface: bootInterface(interfaces),
    interface_set: interfaces,
    boot_disk: bootDisk,
    physicalblockdevice_set: disks,
    blockdevice_set: disks,
  };
}

/** The same as text, for lists: nothing that is said twice is composed twice. */
export function machineText(sight: MachineSight, around: Surroundings, eraseTold: EraseTold): JsonText {
  const { own, shared, interfaces, disks, bootDisk } = partsOf(sight, around, eraseTold);
  const texts = new Map(interfaces.map((one) => [one, interfaceText(one)]));
  const boot = bootInterface(interfaces);
  const diskTexts = new Map(disks.map((disk) => [disk, JSON.stringify(disk)]));
  const diskSet = `[${[...diskTexts.values()].join(',')}]`;
  return new JsonText(
    withFields(own, {
      domain: sharedText(shared.domain),
      zone: sharedText(shared.zone),
      pool: sharedText(shared.pool),
      boot_interface: boot ? texts.get(boot)! : 'null',
      interface_set: `[${[...texts.values()].join(',')}]`,
      boot_disk: bootDisk ? diskTexts.get(bootDisk)! : 'null',
      physicalblockdevice_set: diskSet,
      blockdevice_set: diskSet,
    }),
  );
}

function bootInterface(interfaces: readonly InterfaceJson[]): InterfaceJson | null {
  return interfaces.find(({ type }) => type === 'physical') ?? null;
}

function partsOf(sight: MachineSight, around: Surroundings, eraseTold: EraseTold) {
  const { machine, profile, claim, deployment, active, withheld } = sight;
  const { id } = machine;
  const interfaces = interfacesOf(sight);
  const interfacesShown = interfacesJson(id, interfaces, machine.nics, around.network);
  const disks = blockDevicesJson(machine);
  const root = rootDisk(machine);
  const domain = around.domain(profile.domain);
  const kept = (key: string): unknown => profile.kept[key] ?? null;
  const system = deployment ? around.system(deployment.image) : { osystem: '', distro_series: '' };
  const tested = machine.cpus > 0 ? passed : untested;
  const own = {
    system_id: id,
    hostname: machine.hostname,
    fqdn: `${machine.hostname}.${domain.name}`,
    description: profile.description,
    hardware_uuid: null,
    owner: claim?.owner ?? null,
    owner_data: profile.ownerData,
    workload_annotations: profile.ownerData,
    locked: profile.locked,
    architecture: architectureName(machine.architecture),
    min_hwe_kernel: kept('min_hwe_kernel') ?? '',
    hwe_kernel: kept('hwe_kernel'),
    cpu_count: machine.cpus,
    cpu_speed: 0,
    memory: memoryOf(machine),
    swap_size: kept('swap_size'),
    storage: disks.reduce((sum, { size }) => sum + size, 0) / 1e6,
    ...statusOf(sight, eraseTold),
    status_action: '',
    status_message: statusMessage(machine, active, withheld, sight.failure),
    ...system,
    ephemeral_deploy: false,
    netboot: machine.state !== 'deployed',
    disable_ipv4: false,
    enable_hw_sync: false,
    error_description: withheld ? describeWithholding(withheld) : '',
    power_type: machine.bmc?.driver ?? 'manual',
    power_state: machine.power?.state ?? 'unknown',
    bios_boot_method: machine.firmware === 'efi' ? 'uefi' : 'pxe',
    tag_names: profile.tags,
    address_ttl: null,
    ip_addresses: interfaces.flatMap(({ links }) => links.flatMap(({ address }) => address ?? [])),
    pod: null,
    virtualmachine_id: null,
    parent: null,
    virtualblockdevice_set: [],
    volume_groups: [],
    raids: [],
    cache_sets: [],
    bcaches: [],
    special_filesystems: [],
    numanode_set: [
      {
        index: 0,
        cores: Array.from({ length: machine.cpus }, (_, core) => core),
        memory: memoryOf(machine),
        hugepages_set: [],
      },
    ],
    default_gateways: defaultGateways(profile.kept, interfaces, around),
    hardware_info: hardwareInfo(machine),
    node_type: 0,
    node_type_name: 'Machine',
    current_commissioning_result_id: null,
    current_testing_result_id: null,
    current_installation_result_id: null,
    commissioning_status: tested.status,
    commissioning_status_name: tested.name,
    testing_status: untested.status,
    testing_status_name: untested.name,
    cpu_test_status: untested.status,
    cpu_test_status_name: untested.name,
    memory_test_status: untested.status,
    memory_test_status_name: untested.name,
    network_test_status: untested.status,
    network_test_status_name: untested.name,
    storage_test_status: untested.status,
    storage_test_status_name: untested.name,
    interface_test_status: untested.status,
    interface_test_status_name: untested.name,
    other_test_status: untested.status,
    other_test_status_name: untested.name,
    last_sync: null,
    next_sync: null,
    sync_interval: null,
    resource_uri: `${apiRoot}/machines/${id}/`,
  };
  return {
    own,
    shared: { domain, zone: around.zone(profile.zone), pool: around.pool(machine.pool) },
    interfaces: interfacesShown,
    disks,
    bootDisk: disks.find((disk) => disk.id === root?.id) ?? null,
  };
}

function defaultGateways(
  kept: JsonObject,
  interfaces: readonly Interface[],
  around: Surroundings,
): Readonly<Record<'ipv4' | 'ipv6', { gateway_ip: string | null; link_id: number | null }>> {
  const of = (family: 4 | 6): { gateway_ip: string | null; link_id: number | null } => {
    const link = interfaces.flatMap(({ links }) => links).find(({ id }) => id === kept[gatewayKey[family]]);
    const subnet = link && link.subnet !== null ? around.network.subnetRecord(link.subnet) : null;
    return { gateway_ip: subnet?.gateway_ip ?? null, link_id: link?.id ?? null };
  };
  return { ipv4: of(4), ipv6: of(6) };
}

const unknown = 'Unknown';

function hardwareInfo({ product, serial }: ShownMachine): Readonly<Record<string, string>> {
  return {
    system_vendor: unknown,
    system_product: product || unknown,
    system_family: unknown,
    system_version: unknown,
    system_sku: unknown,
    system_serial: serial || unknown,
    cpu_model: unknown,
    mainboard_vendor: unknown,
    mainboard_product: unknown,
    mainboard_serial: unknown,
    mainboard_version: unknown,
    mainboard_firmware_vendor: unknown,
    mainboard_firmware_date: unknown,
    mainboard_firmware_version: unknown,
    chassis_vendor: unknown,
    chassis_type: unknown,
    chassis_serial: unknown,
    chassis_version: unknown,
  };
}
