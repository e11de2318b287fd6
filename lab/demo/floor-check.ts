import type { FloorRow } from '../floor/index.ts';
import { shortened, table } from './text-layout.ts';

/** What somebody asked a machine to be. */
export interface Asked {
  readonly power: 'on' | 'off';
  /** Every port of the machine. */
  readonly ports: { readonly native: number; readonly tagged: readonly number[] } | 'shut';
  /** On its first disk; null = not a byte on any disk. */
  readonly image: string | null;
  /** MACs that its running system must have a lease for, by VLAN. */
  readonly leases: readonly { readonly mac: string; readonly vlan: number }[];
}

/** A machine as the floor's simulators had it at one moment, beside what was asked. */
export interface Moment {
  readonly when: string;
  readonly row: FloorRow;
  readonly asked: Asked;
}

/** What is not as it was asked, in words; empty = nothing. */
export function deviations(row: FloorRow, asked: Asked): string[] {
  const found: string[] = [];
  if (row.power !== asked.power) found.push(`power ${row.power}, asked ${asked.power}`);
  const wanted = asked.ports === 'shut' ? 'shut' : vlansText(asked.ports.native, asked.ports.tagged);
  for (const port of row.ports) {
    const seen = port.up ? vlansText(port.native, port.tagged) : 'shut';
    if (seen !== wanted) found.push(`${port.port}: ${seen}, asked ${wanted}`);
  }
  for (const [index, disk] of row.disks.entries()) {
    const image = index === 0 ? asked.image : null;
    if (disk.image !== image)
      found.push(`${disk.name}: ${disk.image ?? 'no image'}, asked ${image ?? 'no image'}`);
    else if (image !== null && !disk.bootable) found.push(`${disk.name}: ${image} is torn`);
    if (image === null && disk.residue !== null)
      found.push(`${disk.name}: data of ${disk.residue} is still there`);
  }
  const leaseOf = ({ mac, vlan }: { readonly mac: string; readonly vlan: number }): string =>
    `${mac} in VLAN ${vlan}`;
  const seen = new Set(row.leases.map(leaseOf));
  const due = new Set(asked.leases.map(leaseOf));
  for (const lease of due) if (!seen.has(lease)) found.push(`no lease for ${lease}`);
  for (const lease of seen) if (!due.has(lease)) found.push(`a lease for ${lease}, not asked`);
  return found;
}

/** The table of moments, with a verdict on each. */
export function momentTable(moments: readonly Moment[]): string[] {
  const head = ['machine', 'when', 'power', 'switch port: VLANs', 'disks', 'MAC, address, VLAN of lease', ''];
  return table(
    head,
    moments.map(({ when, row, asked }) => [
      [row.machine],
      [when],
      [row.power],
      row.ports.map(
        (port) => `${shortened(port.port)}: ${port.up ? vlansText(port.native, port.tagged) : 'shut'}`,
      ),
      row.disks.map((disk) => `${disk.name} ${diskText(disk)}`),
      row.leases.length === 0
        ? ['-']
        : row.leases.map(({ mac, address, vlan }) => `${mac} ${address} ${vlan}`),
      [deviations(row, asked).length === 0 ? 'ok' : 'FAILED'],
    ]),
  );
}

function vlansText(native: number | null, tagged: readonly number[]): string {
  const ids = [...tagged].sort((a, b) => a - b).map((id) => `+${id}t`);
  return [native === null ? 'none' : `${native}`, ...ids].join(' ');
}

function diskText(disk: FloorRow['disks'][number]): string {
  if (disk.image !== null) return disk.bootable ? disk.image : `${disk.image} (torn)`;
  return disk.residue === null ? 'empty' : 'tenant data';
}
