import type { SwitchType } from '../../../plugin-api/index.ts';
import type { Asker, Principal } from '../../core/access/principal.ts';
import { authorise, authoriseOn } from '../../core/access/rights.ts';
import { parseScope } from '../../core/access/scope.ts';
import { machineMacs, type Machine, type MachineId } from '../../core/machine/machine.ts';
import {
  byPerson,
  placeOfPort,
  portSubject,
  type QuarantineRecord,
  type Subject,
  type SubjectKind,
} from '../../core/quarantine/quarantine.ts';
import type { Tx } from '../../core/storage/storage.ts';
import { ServiceError } from '../../kernel/errors/service-error.ts';
import type { Machines } from '../machines.ts';
import type { World } from '../world.ts';
import { endQuarantine, enterQuarantine } from './withhold.ts';

/** A record with the name that people know its subject by. */
export type ShownQuarantine = QuarantineRecord & {
  /** Of a machine and of a BMC the hostname of the machine; else the name. */
  readonly label: string;
};

export interface QuarantinesParts {
  readonly world: Pick<World, 'storage' | 'clock' | 'log' | 'metrics' | 'events'>;
  readonly machines: Machines;
  readonly switchTypes: ReadonlyMap<string, SwitchType>;
  /** A person lifted it: what was heard of the subject before no longer counts, and it is tried as usual again. */
  readonly onLifted: (subject: Subject) => void;
}

/** What a person says is meant, found and permitted. */
interface Meant {
  readonly subject: Subject;
  readonly label: string;
  readonly machine: Machine | null;
}

/** Quarantines as people handle them: see, put, lift. */
export class Quarantines {
  readonly #parts: QuarantinesParts;

  constructor(parts: QuarantinesParts) {
    this.#parts = parts;
  }

  /** Those within the scope: of machines in it, and of ports and switches that these are cabled to. The latest first. */
  async list(
    reader: Pick<Principal, 'scope'>,
    { lifted = false }: { readonly lifted?: boolean } = {},
  ): Promise<readonly ShownQuarantine[]> {
    const scope = parseScope(reader.scope);
    return this.#parts.world.storage.run(async (tx) => {
      const records = await tx.quarantines.list();
      const shown = lifted ? records : records.filter(({ since }) => since !== null);
      if (shown.length === 0) return [];
      const places = new Map((await tx.machines.places()).map((place) => [place.id as string, place]));
      const cabled = scope.whole ? null : await cabledNames(tx, (machine) => scope.includes(machine));
      return shown.flatMap((record): ShownQuarantine[] => {
        if (record.kind === 'switch' || record.kind === 'port')
          return cabled === null || cabled.has(record.name) ? [{ ...record, label: record.name }] : [];
        const place = places.get(record.name);
        if (place ? !scope.includes(place) : !scope.whole) return [];
        return [{ ...record, label: place?.hostname ?? record.name }];
      });
    });
  }

  /** How many subjects of each kind are in quarantine. */
  async counts(): Promise<Readonly<Record<SubjectKind, number>>> {
    const active = await this.#parts.world.storage.run((tx) => tx.quarantines.active());
    const names = { machine: new Set(), port: new Set(), switch: new Set(), bmc: new Set() };
    for (const { kind, name } of active) names[kind].add(name);
    const { machine, port, switch: at, bmc } = names;
    return { machine: machine.size, port: port.size, switch: at.size, bmc: bmc.size };
  }

  /**
   * Everything that is known of one subject, also what was lifted.
   * @param text machine or BMC: system id or hostname; switch: its name; port: `switch port`
   */
  async show(
    kind: SubjectKind,
    text: string,
    reader: Pick<Principal, 'scope'>,
  ): Promise<readonly ShownQuarantine[]> {
    const all = await this.list(reader, { lifted: true });
    const port = kind === 'port' ? (await this.#port(text)).subject.name : text;
    return all.filter(
      (one) => one.kind === kind && [one.name, one.label].includes(kind === 'port' ? port : text),
    );
  }

  /**
   * Withholds what a person says.
   * @throws ServiceError `machine.unknown`, `request.not-found`, `value.port`, `access.scope`, `request.forbidden`
   */
  async put(kind: SubjectKind, text: string, by: Asker): Promise<readonly ShownQuarantine[]> {
    const { world, machines } = this.#parts;
    const { subject, label, machine } = await this.#meant(kind, text, by);
    if (kind === 'machine') await machines.quarantine(subject.name as MachineId, by);
    else
      await world.storage.run((tx) =>
        enterQuarantine(tx, world, {
          subject,
          label,
          code: byPerson,
          reason: `${by.principal}: ${by.reason}`,
          by: by.principal,
          machineId: machine?.id ?? null,
        }),
      );
    return this.show(kind, text, by);
  }

  /**
   * Lifts what is there, whoever put it: what is still wrong comes back by itself, and is counted.
   * @throws as `put`; ServiceError `operation.fenced` for a machine that is fenced and on
   */
  async lift(kind: SubjectKind, text: string, by: Asker): Promise<readonly ShownQuarantine[]> {
    const { world, machines, onLifted } = this.#parts;
    const { subject, machine } = await this.#meant(kind, text, by);
    if (kind === 'machine') await machines.lift(subject.name as MachineId, by);
    else
      await world.storage.run((tx) =>
        endQuarantine(tx, world, subject, { by: by.principal, because: by.reason }),
      );
    onLifted(subject);
    if (machine) world.events.emit('machine', { machineId: machine.id });
    return this.show(kind, text, by);
  }

  /** Switches, and ports of no machine, concern the whole service. */
  async #meant(kind: SubjectKind, text: string, by: Asker): Promise<Meant> {
    if (kind === 'machine' || kind === 'bmc') {
      const machine = await this.#parts.machines.commanded(by, 'machine.withhold', text);
      const label = kind === 'bmc' ? `the BMC of ${machine.hostname}` : machine.hostname;
      return { subject: { kind, name: machine.id }, label, machine };
    }
    if (kind === 'switch') {
      authorise(by, 'rack.write');
      const subject = { kind, name: text };
      const known = await this.#parts.world.storage.run(
        async (tx) => (await tx.racks.findSwitch(text)) !== null || (await isRecorded(tx, subject)),
      );
      if (known) return { subject, label: `switch ${text}`, machine: null };
      throw new ServiceError({
        code: 'request.not-found',
        what: `there is no switch "${text}" in the rack config`,
      });
    }
    const port = await this.#port(text, by);
    if (port.machine) authoriseOn(by, 'machine.withhold', port.machine, text);
    else authorise(by, 'rack.write');
    return port;
  }

  /** Who may not see the switch learns nothing of it: a misspelt port and one of somebody else's look the same. */
  async #port(text: string, by?: Asker): Promise<Meant> {
    const { world, switchTypes } = this.#parts;
    if (by) authorise(by, 'machine.withhold');
    const place = placeOfPort(text.trim());
    return world.storage.run(async (tx) => {
      const at = await tx.racks.findSwitch(place.switch);
      const type = at && switchTypes.get(at.type);
      if (!type) {
        if (by && !parseScope(by.scope).whole) authorise(by, 'rack.write');
        const subject = { kind: 'port', name: text.trim() } as const;
        if (await isRecorded(tx, subject)) return { subject, label: `port ${subject.name}`, machine: null };
        throw new ServiceError({
          code: 'request.not-found',
          what: `there is no switch "${place.switch}" in the rack config`,
          remedy: 'write the switch, a space, and the port',
        });
      }
      const subject = portSubject({ switch: at.name, port: type.parsePort(place.port) });
      const wire = (await tx.racks.wires()).find((one) => portSubject(one).name === subject.name);
      const machine = wire ? await tx.machines.findByMac(wire.mac) : null;
      return { subject, label: `port ${subject.name}`, machine };
    });
  }
}

/** What left the rack config may still be withheld, and must be possible to lift: it may come back. */
async function isRecorded(tx: Tx, subject: Subject): Promise<boolean> {
  return (await tx.quarantines.ofSubject(subject)).length > 0;
}

/** Names of the switches and ports that machines are cabled to. */
async function cabledNames(tx: Tx, which: (machine: Machine) => boolean): Promise<ReadonlySet<string>> {
  const macs = new Set((await tx.machines.list()).filter(which).flatMap(machineMacs));
  const wires = (await tx.racks.wires()).filter(({ mac }) => macs.has(mac));
  return new Set(wires.flatMap((wire) => [wire.switch, portSubject(wire).name]));
}
