import type { ChassisAction } from '../../src/wire/rmcp/command/chassis-control.ts';
import { floorRow, type FloorRow, type LabFloor } from '../floor/index.ts';
import type { MachinePhase } from '../machine/index.ts';
import type { PortMembership } from '../network/index.ts';

/** A phase that a machine entered, with its switch ports as they were in that moment. */
export interface PhaseEntry {
  readonly phase: MachinePhase;
  readonly ports: readonly (PortMembership | null)[];
}

/** Watches the floor's own events: what really happened, whatever the service says. */
export class FloorWatch {
  readonly #floor: LabFloor;
  readonly #phases = new Map<string, PhaseEntry[]>();
  readonly #installs = new Map<string, number>();
  readonly #typed = new Map<string, number>();
  readonly #controls = new Map<string, number>();
  /** Frames by the MAC that sent them: how many, and the NICs that heard them. */
  readonly #frames = new Map<string, { count: number; readonly heardBy: Set<string> }>();

  /** @param tell hears each event of the floor, as a line. */
  constructor(floor: LabFloor, tell: (line: string) => void) {
    this.#floor = floor;
    for (const { machine } of floor.machines) {
      machine.events.on('phase', ({ phase }) => {
        const ports = machine.nics.map((nic) => floor.fabric.membership(nic.place));
        this.phases(machine.name).push({ phase, ports });
        tell(`floor: ${machine.name} ${phase}`);
      });
      machine.events.on('installing', ({ disk }) => {
        this.#installs.set(machine.name, this.installs(machine.name) + 1);
        tell(`floor: ${machine.name} writes an image to ${disk.name}`);
      });
    }
    floor.router.events.on('lease', ({ mac, address, vlan, seenAt }) =>
      tell(`router: lease ${address} to ${mac} in VLAN ${vlan}, through ${seenAt}`),
    );
    floor.router.events.on('stray', ({ mac, vlan, seenAt }) =>
      tell(`router: ${mac} asks in VLAN ${vlan} and gets nothing, through ${seenAt}`),
    );
    floor.oracle.events.on('violation', ({ law, machine, said }) =>
      tell(`floor: LAW ${law} BROKEN on ${machine}: ${said}`),
    );
    floor.fabric.events.on('frame', ({ frame, heard }) => {
      const frames = this.#frames.get(frame.source) ?? { count: 0, heardBy: new Set() };
      this.#frames.set(frame.source, frames);
      frames.count += 1;
      for (const endpoint of heard) frames.heardBy.add(endpoint.name);
    });
  }

  row(name: string): FloorRow {
    const { machine, bmcAddress } = this.#floor.find(name);
    return floorRow(machine, `${bmcAddress.host}:${bmcAddress.port}`, this.#floor.fabric, this.#floor.router);
  }

  /** Phases that the machine went through, the newest last. */
  phases(name: string): PhaseEntry[] {
    const entries = this.#phases.get(name) ?? [];
    this.#phases.set(name, entries);
    return entries;
  }

  /** How often an image was written to one of its disks. */
  installs(name: string): number {
    return this.#installs.get(name) ?? 0;
  }

  /** What its BMC was told about power, in order. */
  controls(name: string): ChassisAction[] {
    return this.#floor.find(name).bmc.log.map(({ action }) => action);
  }

  /** Frames sent with these source MACs, and who of these machines heard any of them. */
  heard(macs: readonly string[], listeners: readonly string[]): { frames: number; by: string[] } {
    const sent = macs.map((mac) => this.#frames.get(mac)).filter((one) => one !== undefined);
    const nics = listeners.flatMap((name) => this.#floor.find(name).machine.nics.map((nic) => nic.name));
    return {
      frames: sent.reduce((sum, { count }) => sum + count, 0),
      by: nics.filter((nic) => sent.some(({ heardBy }) => heardBy.has(nic))),
    };
  }

  /** What devices were told since it was asked last, one line each: lines typed into switches, BMC commands. */
  news(): string[] {
    const lines: string[] = [];
    for (const device of this.#floor.switches) {
      const { entries } = device.transcript;
      for (const entry of entries.slice(this.#typed.get(device.name) ?? 0))
        lines.push(`${entry.prompt}${entry.line}${entry.refused ? '   (refused)' : ''}`);
      this.#typed.set(device.name, entries.length);
    }
    for (const { machine, bmc } of this.#floor.machines) {
      for (const { action, by, boot } of bmc.log.slice(this.#controls.get(machine.name) ?? 0))
        lines.push(`BMC of ${machine.name}: ${action} by ${by}${boot ? `, boot ${boot.device}` : ''}`);
      this.#controls.set(machine.name, bmc.log.length);
    }
    return lines;
  }
}
