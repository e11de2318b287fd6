import {
  parseMac,
  type DiskFacts,
  type Inventory,
  type Mac,
  type NicFacts,
} from '../../../../plugin-api/index.ts';
import type { MaasInterface, MaasMachine } from './maas-shapes.ts';

const linuxNames: Readonly<Record<string, string>> = { amd64: 'x86_64', arm64: 'aarch64', i386: 'i686' };
const maasNames: Readonly<Record<string, string>> = { x86_64: 'amd64', aarch64: 'arm64', i686: 'i386' };

/** `amd64/generic` as Linux says it: `x86_64`. */
function linuxArchitecture(architecture: string | null | undefined): string {
  const name = mainArchitecture(architecture);
  return linuxNames[name] ?? (name === '' ? 'x86_64' : name);
}

/** `x86_64` as MAAS says it: `amd64`. */
export function maasArchitecture(architecture: string | undefined): string {
  return maasNames[architecture ?? ''] ?? (architecture || 'amd64');
}

/** `amd64/generic` without what comes behind the slash. */
export function mainArchitecture(architecture: string | null | undefined): string {
  return (architecture ?? '').split('/')[0]!;
}

/** The MAC of an interface in our spelling; null where it has none that is one. */
export function macOf({ mac_address: text }: Pick<MaasInterface, 'mac_address'>): Mac | null {
  try {
    return text ? parseMac(text) : null;
  } catch {
    return null;
  }
}

/** What MAAS's commissioning found out, as an inventory. MAAS knows neither LLDP neighbours here nor removable disks. */
export function inventoryOf(machine: MaasMachine): Inventory {
  const info = (key: string): string => {
    const value = machine.hardware_info?.[key];
    return typeof value === 'string' && value !== 'Unknown' ? value : '';
  };
  return {
    cpus: machine.cpu_count,
    memoryBytes: Math.round(machine.memory * 2 ** 20),
    architecture: linuxArchitecture(machine.architecture),
    firmware: /efi/i.test(machine.bios_boot_method ?? '') ? 'efi' : 'legacy',
    product: [info('system_vendor'), info('system_product')].filter((text) => text !== '').join(' '),
    serial: info('system_serial'),
    nics: machine.interface_set.filter(({ type }) => type === 'physical').flatMap(nicOf),
    disks: machine.physicalblockdevice_set.map((disk): DiskFacts => ({
      name: disk.name,
      model: disk.model ?? '',
      serial: disk.serial ?? '',
      bytes: disk.size,
      rotational: disk.tags.includes('rotary'),
      removable: false,
      readOnly: false,
    })),
  };
}

function nicOf(one: MaasInterface): readonly NicFacts[] {
  const mac = macOf(one);
  if (mac === null) return [];
  return [
    {
      name: one.name,
      mac,
      linkUp: one.link_connected ?? false,
      speedMbps: one.link_speed || null,
      neighbour: null,
    },
  ];
}
