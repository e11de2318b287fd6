import { parse } from 'yaml';
import { parseMac, type Mac } from '../../plugin-api/index.ts';

/** Interfaces of an installed operating system, as cloud-init's network-config version 2 describes them. */
export interface OsNetwork {
  readonly links: readonly OsLink[];
  readonly vlans: readonly OsVlan[];
}

/** A NIC or a bond. */
export interface OsLink {
  readonly name: string;
  readonly kind: 'nic' | 'bond';
  /** Hardware MACs: one of a NIC, those of a bond's members in order. */
  readonly hardware: readonly Mac[];
  /** The MAC it uses; null = the hardware's own. */
  readonly mac: Mac | null;
  readonly dhcp: boolean;
}

export interface OsVlan {
  readonly name: string;
  readonly link: string;
  readonly id: number;
  /** Null = that of the link. */
  readonly mac: Mac | null;
  readonly dhcp: boolean;
}

interface Section {
  readonly match?: { readonly macaddress?: string };
  readonly macaddress?: string;
  readonly dhcp4?: boolean;
  readonly interfaces?: readonly string[];
  readonly parameters?: { readonly mode?: string };
  readonly id?: number;
  readonly link?: string;
}

interface Document {
  readonly version?: number;
  readonly ethernets?: Readonly<Record<string, Section>>;
  readonly bonds?: Readonly<Record<string, Section>>;
  readonly vlans?: Readonly<Record<string, Section>>;
}

/**
 * Reads network-config version 2, with or without netplan's `network:` around it.
 * @throws Error when it is not that, or an interface refers to one that is not there: no network comes up then.
 */
export function parseNetworkConfig(text: string): OsNetwork {
  const read = parse(text) as (Document & { readonly network?: Document }) | null;
  const document = read?.network ?? read;
  if (document?.version !== 2) throw new Error('network-config is not version 2');
  const hardware = new Map<string, Mac>();
  for (const [name, section] of Object.entries(document.ethernets ?? {})) {
    const mac = section.match?.macaddress;
    if (mac === undefined) throw new Error(`ethernet ${name} names no hardware MAC to match`);
    hardware.set(name, parseMac(mac));
  }
  const enslaved = new Set<string>();
  const links: OsLink[] = [];
  for (const [name, section] of Object.entries(document.bonds ?? {})) {
    const mode = section.parameters?.mode;
    if (mode !== 'active-backup')
      throw new Error(`bond ${name} has mode ${mode ?? 'none'}, only active-backup is simulated`);
    const members = (section.interfaces ?? []).map((member) => {
      const mac = hardware.get(member);
      if (mac === undefined) throw new Error(`bond ${name} has the unknown member ${member}`);
      enslaved.add(member);
      return mac;
    });
    if (members.length === 0) throw new Error(`bond ${name} has no members`);
    links.push({ name, kind: 'bond', hardware: members, ...address(section) });
  }
  for (const [name, section] of Object.entries(document.ethernets ?? {}))
    if (!enslaved.has(name))
      links.push({ name, kind: 'nic', hardware: [hardware.get(name)!], ...address(section) });
  const vlans = Object.entries(document.vlans ?? {}).map(([name, section]) => {
    const { id, link } = section;
    if (id === undefined || link === undefined || !links.some((l) => l.name === link))
      throw new Error(`VLAN interface ${name} has no id or no known link`);
    return { name, link, id, ...address(section) };
  });
  return { links, vlans };
}

function address(section: Section): { mac: Mac | null; dhcp: boolean } {
  return {
    mac: section.macaddress === undefined ? null : parseMac(section.macaddress),
    dhcp: section.dhcp4 ?? false,
  };
}
