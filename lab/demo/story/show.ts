import type { LabAnswer } from '../../management-server/agent-connection.ts';
import type { LabCommand, LabInstance } from '../../management-server/commands.ts';
import { deviations, type Asked, type Moment } from '../floor-check.ts';
import type { FloorWatch } from '../floor-watch.ts';
import type { Page } from '../page.ts';
import { OperationFollower, type Followed } from '../show-operation.ts';
import type { Stage } from '../stage.ts';

/** VLANs of the demo's floor. Red's networks belong to one tenant; blue is somebody else. */
export const vlans = { provisioning: 100, red: 200, redBackend: 201, redBackup: 202, blue: 300 } as const;

/** What somebody can be told to spoil, to see that the demo notices: for tests of the demo itself. */
export type Fault = 'foreign-vlan' | 'erase-skips';

export interface ShowParts {
  readonly page: Page;
  readonly stage: Stage;
  readonly watch: FloorWatch;
  /** How fast images come over the wire, in bytes per second; may be changed at any time. */
  readonly wire: { bytesPerSecond: number };
  readonly fault: Fault | null;
}

/** Milliseconds that the management server waits for an answer, far above what any command here takes. */
const answerWithin = 120_000;
/** Milliseconds for what follows by itself: a system that boots, a ping. */
const soon = 15_000;

/** Everything that the story's chapters share. */
export class Show {
  readonly page: Page;
  readonly stage: Stage;
  readonly watch: FloorWatch;
  readonly wire: { bytesPerSecond: number };
  readonly fault: Fault | null;
  readonly moments: Moment[] = [];
  readonly hosts = new Map<string, bigint>();
  #follower: OperationFollower | null = null;

  constructor(parts: ShowParts) {
    this.page = parts.page;
    this.stage = parts.stage;
    this.watch = parts.watch;
    this.wire = parts.wire;
    this.fault = parts.fault;
  }

  /** Once the service serves. */
  get follower(): OperationFollower {
    this.#follower ??= new OperationFollower(this.stage.admin, this.page);
    return this.#follower;
  }

  /** The management server sends a command; the operation that it begins is shown, and its answer given. */
  async command(
    machine: string,
    kind: string,
    command: LabCommand,
  ): Promise<{ answer: LabAnswer; followed: Followed | null }> {
    const host = this.hosts.get(machine)!;
    const name = shortName(command.className);
    this.page.detail(`CloudStack -> host ${host}: ${name}`);
    const answers = this.stage.cloud.send(host, [command], { timeout: answerWithin });
    const followed = await this.follower.next(machine, kind, answers);
    const [answer] = await answers;
    if (!answer) throw new Error(`the ${name} was answered with nothing`);
    this.page.detail(`host ${host} -> CloudStack: ${shortName(answer.className)} ${answer.text}`);
    return { answer, followed };
  }

  checkAnswer(answer: LabAnswer): void {
    const text = `${shortName(answer.className)}, result ${answer.result}${answer.details ? `, "${answer.details}"` : ''}`;
    this.page.check('the answer to CloudStack', answer.result, text);
  }

  /** Looks at the machine on the floor, and keeps the moment for the table at the end. */
  look(name: string, when: string, asked: Asked): void {
    const row = this.watch.row(name);
    this.moments.push({ when, row, asked });
    const wrong = deviations(row, asked);
    this.page.check(
      `the floor shows ${name} as asked`,
      wrong.length === 0,
      wrong.length === 0 ? askedText(asked) : wrong.join('; '),
    );
  }

  /** Whether each NIC of the instance gets its lease (again) from the router. */
  async checkLeases(instance: LabInstance, before: ReadonlyMap<string, number> = new Map()): Promise<void> {
    const { router } = this.stage.floor;
    this.page.waiting(`${instance.name} boots`);
    for (const [mac, vlan] of nicsOf(instance)) {
      const lease = await this.eventually(() =>
        router.leases.find(
          (one) => one.mac === mac && one.vlan === vlan && one.requests > (before.get(mac) ?? 0),
        ),
      );
      const one = this.systemOf(instance)?.interfaces.find((each) => each.mac === mac);
      this.page.check(
        `the router's lease in VLAN ${vlan}`,
        lease !== undefined && router.ping(lease.mac, vlan),
        lease === undefined
          ? `none for ${mac}`
          : `${lease.address} for ${mac}, ${one ? `${one.kind} interface ${one.name}` : 'of no interface'}, heard on ${lease.seenAt}, answers ping`,
      );
    }
  }

  /** How often the router was asked for each MAC of the instance so far. */
  leaseRequests(instance: LabInstance): Map<string, number> {
    const { leases } = this.stage.floor.router;
    return new Map(
      nicsOf(instance).map(([mac]) => [mac, leases.find((lease) => lease.mac === mac)?.requests ?? 0]),
    );
  }

  /** Whether CloudStack hears of the instance's power in a ping; null = it is not named any more. */
  async checkReport(machine: string, instance: string, power: 'PowerOn' | 'PowerOff' | null): Promise<void> {
    const host = this.hosts.get(machine)!;
    this.page.waiting('the next ping');
    const from = this.stage.cloud.pings(host).length;
    const told = await this.eventually(() =>
      this.stage.cloud
        .pings(host)
        .slice(from)
        .find(({ report }) => report !== null && (report.get(instance) ?? null) === power),
    );
    const wanted = power === null ? `${instance} is not named any more` : `${instance} ${power}`;
    this.page.check(
      'the power report in the next ping',
      told !== undefined,
      told === undefined ? `none in time that says: ${wanted}` : wanted,
    );
  }

  /** The machine as the admin API shows it. */
  async machine(name: string): Promise<MachineView> {
    return (await this.stage.admin.call('GET', `/machines/${name}`))['machine'] as MachineView;
  }

  /** The value as soon as there is one; undefined when none came in time. */
  async eventually<T>(probe: () => T | undefined | false | null, within = soon): Promise<T | undefined> {
    const until = performance.now() + within;
    for (;;) {
      const value = probe();
      if (value) return value;
      if (performance.now() > until) return undefined;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** The running system that has the instance's MAC. */
  systemOf(instance: LabInstance): NonNullable<Stage['floor']['machines'][0]['machine']['os']> | undefined {
    const macs = nicsOf(instance).map(([mac]) => mac);
    return (
      this.stage.floor.machines
        .map(({ machine }) => machine.os)
        .find((os) => os?.interfaces.some((one) => macs.includes(one.mac))) ?? undefined
    );
  }
}

export interface MachineView {
  readonly id: string;
  readonly state: string;
  readonly quarantine: { readonly reason: string; readonly fenced: boolean } | null;
  readonly claim: { readonly externalId: string } | null;
  readonly deployment: { readonly id: string; readonly state: string } | null;
  readonly clean: { readonly grade: string; readonly summary: string; readonly verified: boolean } | null;
}

/** MAC and VLAN of each NIC. */
export function nicsOf(instance: LabInstance): [mac: string, vlan: number][] {
  return (instance.nics ?? []).map(({ mac, broadcastUri }) => [
    mac,
    Number(broadcastUri?.slice('vlan://'.length)),
  ]);
}

export function leasesOf(instance: LabInstance): Asked['leases'] {
  return nicsOf(instance).map(([mac, vlan]) => ({ mac, vlan }));
}

export function shortName(className: string): string {
  return className.slice(className.lastIndexOf('.') + 1);
}

function askedText({ power, ports, image, leases }: Asked): string {
  return [
    `power ${power}`,
    ports === 'shut'
      ? 'both ports shut'
      : `both ports VLAN ${ports.native} untagged${taggedText(ports.tagged)}`,
    image === null ? 'no image' : `${image} on its disk`,
    ...(leases.length > 0 ? [`${leases.length} ${leases.length === 1 ? 'lease' : 'leases'}`] : []),
  ].join(', ');
}

function taggedText(vlans: readonly number[]): string {
  return vlans.length > 0 ? ` and ${vlans.join(', ')} tagged` : '';
}
