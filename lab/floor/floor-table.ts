import type { LabMachine, MachinePhase } from '../machine/index.ts';
import { describePlace, type Fabric } from '../network/index.ts';
import type { LabRouter } from '../router/index.ts';

/** One machine as it stands on the floor: power, ports, disks and leases, from the simulators' own state. */
export interface FloorRow {
  readonly machine: string;
  readonly bmc: string;
  readonly power: 'on' | 'off';
  readonly phase: MachinePhase;
  readonly ports: readonly {
    readonly nic: string;
    readonly mac: string;
    readonly port: string;
    readonly up: boolean;
    readonly native: number | null;
    readonly tagged: readonly number[];
  }[];
  readonly disks: readonly {
    readonly name: string;
    readonly image: string | null;
    readonly bootable: boolean;
    readonly instanceId: string | null;
    readonly residue: string | null;
  }[];
  /** Leases that the virtual router gave to MACs of the running system. */
  readonly leases: readonly {
    readonly mac: string;
    readonly vlan: number;
    readonly address: string;
    readonly seenAt: string;
  }[];
}

export function floorRow(machine: LabMachine, bmc: string, fabric: Fabric, router: LabRouter): FloorRow {
  const macs = new Set(machine.os?.interfaces.map((one) => one.mac));
  return {
    machine: machine.name,
    bmc,
    power: machine.power(),
    phase: machine.phase,
    ports: machine.nics.map((nic) => {
      const port = fabric.membership(nic.place);
      return {
        nic: nic.label,
        mac: nic.mac,
        port: describePlace(nic.place),
        up: port?.up ?? false,
        native: port?.native ?? null,
        tagged: port?.tagged ?? [],
      };
    }),
    disks: machine.disks.map((disk) => {
      const { image, bootable, instanceId, residue } = machine.diskContent(disk);
      return { name: disk.name, image, bootable, instanceId, residue };
    }),
    leases: router.leases
      .filter((lease) => macs.has(lease.mac))
      .map(({ mac, vlan, address, seenAt }) => ({ mac, vlan, address, seenAt })),
  };
}

/** The table as text, one machine a line, columns aligned. */
export function writeFloorTable(rows: readonly FloorRow[]): string {
  const head = ['machine', 'bmc', 'power', 'phase', 'ports', 'disks', 'leases'];
  const lines = rows.map((row) => [
    row.machine,
    row.bmc,
    row.power,
    row.phase,
    row.ports.map((p) => `${p.port} ${p.up ? vlans(p.native, p.tagged) : 'shut'}`).join('; '),
    row.disks.map((d) => `${d.name} ${diskText(d)}`).join('; '),
    row.leases.map((l) => `${l.mac} ${l.address} (VLAN ${l.vlan})`).join('; ') || '-',
  ]);
  const all = [head, ...lines];
  const widths = head.map((_, column) => Math.max(...all.map((line) => line[column]!.length)));
  return all
    .map((line) =>
      line
        .map((cell, column) => cell.padEnd(widths[column]!))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

function vlans(native: number | null, tagged: readonly number[]): string {
  return [native === null ? '-' : `u${native}`, ...tagged.map((id) => `t${id}`)].join(',');
}

function diskText(disk: FloorRow['disks'][number]): string {
  if (disk.image !== null) return disk.bootable ? disk.image : `${disk.image} (torn)`;
  return disk.residue === null ? 'empty' : `no image, data of ${disk.residue}`;
}
