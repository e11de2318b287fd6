import { setTimeout as delay } from 'node:timers/promises';
import { parseMac } from '../../plugin-api/index.ts';
import type { LabAnswer } from '../../lab/management-server/agent-connection.ts';
import {
  destroyCommand,
  plugNicCommand,
  rebootCommand,
  startCommand,
  stopCommand,
  unPlugNicCommand,
  type LabCommand,
  type LabInstance,
  type LabNic,
} from '../../lab/management-server/commands.ts';
import { Mutex } from '../../src/kernel/concurrency/mutex.ts';
import type { ChaosStage } from './chaos-stage.ts';
import type { Ask } from './run-plan.ts';

/** What became of one command, as the cloud saw it. */
export interface Sent {
  readonly ask: Ask;
  readonly machine: string;
  /** Epoch milliseconds. */
  readonly at: number;
  /** Until when the service may have been at it; Infinity = nobody heard. */
  until: number;
  outcome: 'open' | 'ok' | 'refused' | 'lost' | 'unanswered' | 'never sent';
  details: string | null;
  /** What was sent, to be sent again as it was. */
  command: LabCommand | null;
  /** The answer's class; null = none came. */
  answered: string | null;
}

/** What an instance needs to know of the run that it lives in. */
export interface Surroundings {
  /** Something was wrong with an answer. */
  complain(what: string): void;
  /** No fault has begun that may make a machine's power or ports other than the service last made them. */
  settled(): boolean;
  /** What is left of a Start that was refused, in words; null = nothing. */
  leftBy?(start: Sent, instance: CloudInstance): string | null;
}

/** VLANs of each tenant: of its default NIC, and of an additional one. */
const networks = { red: [200, 201], blue: [300, 301] } as const;

/** As long as the real server waits, 30 minutes, at the floor's speed, and some more for a busy computer. */
const patience = 60_000;
/** A host that is gone comes back within this. */
const reconnect = 45_000;

let nextMac = 1;

function vlanOf({ broadcastUri }: LabNic): number {
  return Number(broadcastUri!.split('//')[1]);
}

/** User data as CloudStack sends it, with something in it that nobody may see. */
export function userDataWith(secret: string): string {
  return Buffer.from(`#cloud-config\npassword: ${secret}\n`).toString('base64');
}

/** One instance of the cloud, and what the cloud believes of it. */
export class CloudInstance {
  readonly lab: LabInstance;
  readonly native: number;
  readonly extra: LabNic;
  readonly sent: Sent[] = [];
  /** The machine of its last Start. */
  home: string;
  /** A Start was answered well at some time: from then on CloudStack marks no first deployment. */
  ran = false;
  /** What the last answers say; null = commands are open, or the last one was refused or lost. */
  told: 'running' | 'stopped' | 'gone' | null = null;
  /** The additional NIC: told in, told out, or not certain. */
  plugged: boolean | null = false;
  readonly #stage: ChaosStage;
  #open = 0;
  /** Commands leave in the order in which they were given, also when they had to wait for the host. */
  readonly #turn = new Mutex();
  readonly #around: Surroundings;

  constructor(
    stage: ChaosStage,
    name: string,
    tenant: 'red' | 'blue',
    home: string,
    secret: string,
    around: Surroundings,
  ) {
    this.#stage = stage;
    this.#around = around;
    this.home = home;
    const [native, tagged] = networks[tenant];
    this.native = native;
    const nic = (vlan: number, deviceId: number): LabNic => {
      const mac = parseMac(`0600ac${(nextMac++).toString(16).padStart(6, '0')}`);
      const { address } = stage.floor.router.reserve(vlan, mac);
      return { mac, deviceId, defaultNic: deviceId === 0, ip: address, broadcastUri: `vlan://${vlan}` };
    };
    this.extra = nic(tagged, 1);
    this.lab = {
      name,
      id: nextMac + 100,
      uuid: `00000000-0000-4000-8000-${nextMac.toString().padStart(12, '0')}`,
      hostName: name.toLowerCase(),
      template: stage.engine === 'maas' ? 'csbm://lab-linux' : 'http://templates.example/lab-linux',
      nics: [nic(native, 0)],
      vmData: [['userdata', 'user_data', userDataWith(secret)]],
    };
  }

  get name(): string {
    return this.lab.name;
  }

  get externalId(): string {
    return `cloudstack/${this.name}`;
  }

  /** The cloud has given it up, whatever came of that: it is never started again. */
  get given(): boolean {
    return this.sent.some(({ ask }) => ask === 'destroy' || ask === 'expunge');
  }

  get macs(): readonly string[] {
    return [...this.lab.nics!, this.extra].map(({ mac }) => mac);
  }

  /**
   * Sends one command to a machine and waits for its answer, whatever that is.
   * @param again an earlier one, whose very content is sent once more
   */
  async send(ask: Ask, machine = this.home, again?: Sent): Promise<Sent> {
    const sent: Sent = {
      ask,
      machine,
      at: Date.now(),
      until: Infinity,
      outcome: 'open',
      details: null,
      command: again?.command ?? null,
      answered: null,
    };
    this.sent.push(sent);
    this.#open += 1;
    this.told = null;
    if (ask === 'start') this.home = machine;
    const { timeline } = this.#stage;
    const label = `${ask} ${this.name} on ${machine}${again ? ', once more' : ''}`;
    try {
      const host = await this.#turn.run(() => this.#connected(machine));
      if (host === null) {
        sent.outcome = 'never sent';
        timeline.tell('cloud', `${label}: the host was not there for ${reconnect} ms`);
        return sent;
      }
      timeline.tell('cloud', label);
      sent.command ??= this.#command(ask);
      const [answer] = await this.#stage.cloud.send(host, [sent.command], { timeout: patience });
      sent.answered = answer!.className;
      sent.outcome = answer!.result ? 'ok' : 'refused';
      sent.details = answer!.details;
      sent.until = Date.now();
      timeline.tell(
        'cloud',
        `${label}: ${answer!.result ? 'yes' : 'no'}${answer!.details ? `, ${answer!.details}` : ''}`,
      );
      this.#judge(ask, machine, answer!);
      const left = ask === 'start' && !this.ran && !answer!.result && this.#around.leftBy?.(sent, this);
      if (left) this.#around.complain(`${label} was answered no, and ${left}`);
    } catch (error) {
      const { message } = error as Error;
      sent.outcome = /in time/.test(message) ? 'unanswered' : 'lost';
      sent.details = message;
      timeline.tell('cloud', `${label}: ${message}`);
      if (sent.outcome === 'unanswered')
        this.#around.complain(`${label} was not answered within ${patience} ms on a link that held`);
    } finally {
      this.#open -= 1;
      if (this.#open === 0) this.#settle();
    }
    return sent;
  }

  async #connected(machine: string): Promise<bigint | null> {
    const end = performance.now() + reconnect;
    const guid = this.#stage.guid(machine);
    for (;;) {
      const host = this.#stage.cloud.hosts().find((one) => one.guid === guid && one.state === 'Up');
      if (host) return host.hostId;
      if (performance.now() > end) return null;
      await delay(10);
    }
  }

  #command(ask: Ask): LabCommand {
    const instance = { ...this.lab, doPxe: !this.ran };
    switch (ask) {
      case 'start':
        return startCommand(this.plugged ? { ...instance, nics: [...instance.nics!, this.extra] } : instance);
      case 'stop':
        return stopCommand({ name: this.name });
      case 'expunge':
        return stopCommand({ name: this.name, expunge: true });
      case 'destroy':
        return destroyCommand(instance);
      case 'reboot':
        return rebootCommand(this.name);
      case 'plug':
        return plugNicCommand(this.name, this.extra);
      case 'unplug':
        return unPlugNicCommand(this.name, this.extra);
    }
  }

  /** What must be true on the floor in the moment of an answer that says yes. */
  #judge(ask: Ask, machine: string, { result, className }: LabAnswer): void {
    if (!className.endsWith('Answer')) this.#around.complain(`${ask} was answered by ${className}`);
    if (!result) return;
    if (ask === 'start') this.ran = true;
    if (this.#open > 1) return;
    if (ask === 'start' || ask === 'reboot' || ask === 'plug' || ask === 'unplug')
      this.#judgeRunning(ask, machine);
    if (ask === 'stop' || ask === 'destroy' || ask === 'expunge') {
      for (const { machine: one } of this.#stage.floor.machines) {
        const macs = one.os?.interfaces.map(({ mac }) => mac) ?? [];
        const open = one.nics.some((nic) => this.#stage.floor.fabric.membership(nic.place)?.up);
        if (macs.some((mac) => this.macs.includes(mac)) && (ask === 'stop' || open))
          this.#around.complain(
            `${ask} of ${this.name} on ${machine} was answered yes, and its system runs on ${one.name}`,
          );
      }
    }
  }

  /** Its machine is on, and every port of it carries what it has, and nothing else. */
  #judgeRunning(ask: Ask, name: string): void {
    if (!this.#around.settled()) return;
    const { floor } = this.#stage;
    const { machine } = floor.find(name);
    if (machine.power() === 'off' && (ask === 'start' || ask === 'reboot'))
      this.#around.complain(`${ask} of ${this.name} was answered yes, and ${name} is off`);
    const plugged = ask === 'plug' ? true : ask === 'unplug' ? false : this.plugged;
    for (const { label, place } of machine.nics) {
      const port = floor.fabric.membership(place);
      const tagged = port?.tagged.join() ?? '';
      const right =
        port?.up &&
        port.native === this.native &&
        (plugged === null || tagged === (plugged ? String(vlanOf(this.extra)) : ''));
      if (!right)
        this.#around.complain(
          `${ask} of ${this.name} was answered yes, and the port of ${label} of ${name} is ${JSON.stringify(port)}`,
        );
    }
  }

  #settle(): void {
    const last = this.sent.at(-1)!;
    const before = this.sent.at(-2);
    if (last.ask === 'plug' || last.ask === 'unplug') {
      this.plugged = last.outcome === 'ok' ? last.ask === 'plug' : null;
      this.told =
        last.outcome === 'ok' && before?.outcome === 'ok' && before.ask !== 'stop' ? 'running' : null;
      return;
    }
    if (last.outcome !== 'ok') return;
    if (last.ask === 'start' || last.ask === 'reboot') this.told = 'running';
    else if (last.ask === 'stop') this.told = 'stopped';
    else {
      this.told = 'gone';
      // The cloud gives its addresses to others: from here on the oracle holds the service to it.
      for (const mac of this.macs) this.#stage.floor.router.release(parseMac(mac));
    }
  }
}
