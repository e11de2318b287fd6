import type { Clock } from '../../plugin-api/index.ts';
import { EventBus } from '../../src/kernel/events/event-bus.ts';
import type { LabDisk, LabMachine, LabNic } from '../machine/index.ts';
import { describePlace, type Fabric, type PortMembership } from '../network/index.ts';
import type { LabRouter } from '../router/index.ts';

/**
 * What must never be seen on the floor. The numbers are those of the project's laws: 2 one machine per instance; 4a a port
 * joins the provisioning network or another tenant's VLAN only while the machine is off; 4b the untagged VLAN leaves only
 * while off; 4c an instance that the cloud has given up runs nowhere with an open port; 4d the ports of a bond agree when
 * its system starts; 4e no running machine falls into a default VLAN that is the provisioning network; 5 no image over a
 * disk that was not erased, no data of another tenant found on a disk.
 */
export type FloorLaw = '2' | '4a' | '4b' | '4c' | '4d' | '4e' | '5' | 'isolation';

export interface Violation {
  readonly law: FloorLaw;
  readonly machine: string;
  readonly said: string;
  /** Epoch milliseconds. */
  readonly at: number;
}

export interface OracleParts {
  readonly fabric: Fabric;
  readonly machines: readonly LabMachine[];
  readonly router: LabRouter;
  readonly clock: Clock;
  /** The provisioning VLAN now, and whether it is the switches' default VLAN. */
  readonly provisioning: () => { readonly vlan: number | null; readonly isDefault: boolean };
}

/** Watches every change of switches, power and systems, and writes down what breaks a law. Knows nothing but the floor. */
export class LawOracle {
  readonly events = new EventBus<{ violation: Violation }>();
  readonly violations: Violation[] = [];
  readonly #parts: OracleParts;
  /** Per NIC of a machine that is on: what its port carried when it was last open. */
  readonly #open = new Map<LabNic, PortMembership>();
  /** What was already told of a machine since it was switched on. */
  readonly #told = new Map<LabMachine, Set<string>>();
  /** Disks whose last erase was ordered quick: what lies between their ends was left there by choice, until a system runs. */
  readonly #quick = new Set<LabDisk>();
  readonly #unsubscribe: (() => void)[];

  constructor(parts: OracleParts) {
    this.#parts = parts;
    this.#unsubscribe = [
      parts.fabric.events.on('change', () => this.#portsChanged()),
      parts.fabric.events.on('frame', ({ frame, from, heard }) => {
        if (frame.payload.kind !== 'dhcp-discover') return;
        const sender = parts.router.tenantOf(frame.source);
        const speaker = this.#machineOf(from);
        if (sender === null || !speaker?.os) return;
        for (const listener of heard) {
          const machine = this.#machineOf(listener);
          const tenant = machine?.os ? this.tenantOf(machine) : null;
          if (machine && tenant !== null && tenant !== sender)
            this.#tell(
              'isolation',
              machine,
              `its system heard a frame of tenant ${sender} from ${speaker.name}`,
            );
        }
      }),
      parts.router.events.on('released', ({ mac, vlan }) => {
        for (const machine of parts.machines) {
          if (!machine.os?.interfaces.some((one) => one.mac === mac)) continue;
          for (const nic of machine.nics)
            if (carried(this.#port(nic)).includes(vlan))
              this.#tell(
                '4c',
                machine,
                `the cloud gave up ${mac}, but its system runs and ${describePlace(nic.place)} carries VLAN ${vlan}`,
              );
        }
      }),
      ...parts.machines.flatMap((machine) => [
        machine.events.on('phase', ({ phase }) => this.#phaseChanged(machine, phase)),
        machine.events.on('erased', ({ disk, grade }) => {
          if (grade === 'quick') this.#quick.add(disk);
          else this.#quick.delete(disk);
        }),
        machine.events.on('installing', ({ disk }) => {
          // A torn image without any tenant's data is what an install leaves that was cut: it may be tried again.
          const { instanceId, residue, image, bootable } = machine.diskContent(disk);
          const found = (this.#quick.has(disk) ? null : residue) ?? instanceId ?? (bootable ? image : null);
          if (found !== null)
            this.#tell('5', machine, `an image is written over ${disk.name}, which still holds ${found}`);
        }),
      ]),
    ];
  }

  /** The tenant whose system a machine's disk holds, by the MACs in its first-boot data; null = nobody's. */
  tenantOf(machine: LabMachine): string | null {
    const macs = machine.os?.interfaces.map((one) => one.mac) ?? machine.allottedMacs;
    return macs.map((mac) => this.#parts.router.tenantOf(mac)).find((tenant) => tenant !== null) ?? null;
  }

  close(): void {
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
  }

  #portsChanged(): void {
    for (const machine of this.#parts.machines) {
      if (machine.power() === 'off') continue;
      for (const nic of machine.nics) {
        const now = this.#port(nic);
        const before = this.#open.get(nic);
        if (!now?.up) continue;
        this.#open.set(nic, now);
        this.#judgeMove(machine, nic, before, now);
      }
      this.#judgeExposure(machine);
    }
  }

  #judgeMove(
    machine: LabMachine,
    nic: LabNic,
    before: PortMembership | undefined,
    now: PortMembership,
  ): void {
    const { vlan: provisioning, isDefault } = this.#parts.provisioning();
    const tenant = this.tenantOf(machine);
    const where = describePlace(nic.place);
    for (const vlan of carried(now)) {
      if (before && carried(before).includes(vlan)) continue;
      if (vlan === provisioning) {
        const fell = isDefault && now.native === vlan;
        this.#tell(
          fell ? '4e' : '4a',
          machine,
          `${where} joined the provisioning network while the machine was on`,
        );
      } else if (this.#foreign(vlan, tenant)) {
        this.#tell('4a', machine, `${where} joined VLAN ${vlan} of another tenant while the machine was on`);
      }
    }
    const left = before?.native ?? null;
    if (left === null || left === now.native) return;
    if (left === provisioning || this.#parts.router.tenantOfVlan(left) !== null)
      this.#tell('4b', machine, `${where} left its untagged VLAN ${left} while the machine was on`);
  }

  /** A running system with an open port where it must not be, whatever brought it there. */
  #judgeExposure(machine: LabMachine): void {
    if (!machine.os) return;
    const { vlan: provisioning } = this.#parts.provisioning();
    const tenant = this.tenantOf(machine);
    for (const nic of machine.nics) {
      for (const vlan of carried(this.#port(nic))) {
        if (vlan === provisioning)
          this.#tell(
            '4a',
            machine,
            `its system runs with ${describePlace(nic.place)} open on the provisioning network`,
          );
        else if (this.#foreign(vlan, tenant))
          this.#tell(
            '4a',
            machine,
            `its system runs with ${describePlace(nic.place)} open on VLAN ${vlan} of another tenant`,
          );
      }
    }
  }

  #phaseChanged(machine: LabMachine, phase: LabMachine['phase']): void {
    if (phase === 'off') {
      for (const nic of machine.nics) this.#open.delete(nic);
      this.#told.delete(machine);
      return;
    }
    for (const nic of machine.nics) {
      const port = this.#port(nic);
      if (port?.up && !this.#open.has(nic)) this.#open.set(nic, port);
    }
    if (phase !== 'os') return;
    this.#judgeExposure(machine);
    const os = machine.os!;
    if (os.foreignData !== null && !this.#quick.has(os.disk))
      this.#tell('5', machine, `its system found the data of ${os.foreignData} on the disk`);
    this.#quick.delete(os.disk);
    for (const bond of os.interfaces.filter((one) => one.kind === 'bond')) {
      const states = new Set(bond.members.map((nic) => JSON.stringify(this.#port(nic))));
      if (states.size > 1)
        this.#tell(
          '4d',
          machine,
          `its system starts with the ports of ${bond.name} in different states: ${[...states].join(' and ')}`,
        );
    }
    for (const other of this.#parts.machines) {
      if (other === machine || !other.os) continue;
      const shared = other.os.interfaces.find((one) => os.interfaces.some((mine) => mine.mac === one.mac));
      if (shared) this.#tell('2', machine, `its system uses ${shared.mac}, which also runs on ${other.name}`);
    }
  }

  #foreign(vlan: number, tenant: string | null): boolean {
    const owner = this.#parts.router.tenantOfVlan(vlan);
    return owner !== null && tenant !== null && owner !== tenant;
  }

  #port(nic: LabNic): PortMembership | null {
    return this.#parts.fabric.membership(nic.place);
  }

  #machineOf(endpoint: object): LabMachine | undefined {
    return this.#parts.machines.find((machine) => (machine.nics as readonly object[]).includes(endpoint));
  }

  /** Once for each thing since the machine was switched on. */
  #tell(law: FloorLaw, machine: LabMachine, said: string): void {
    const told = this.#told.get(machine) ?? new Set();
    this.#told.set(machine, told);
    if (told.has(law + said)) return;
    told.add(law + said);
    const violation = { law, machine: machine.name, said, at: this.#parts.clock.now() };
    this.violations.push(violation);
    this.events.emit('violation', violation);
  }
}

/** VLANs that pass an open port. */
function carried(port: PortMembership | null): readonly number[] {
  if (!port?.up) return [];
  return port.native === null ? port.tagged : [port.native, ...port.tagged];
}
