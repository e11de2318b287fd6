import { setTimeout as delay } from 'node:timers/promises';
import type { Violation } from '../../lab/floor/index.ts';
import { until } from '../support/until.ts';
import { cloudMachines, userNames, type ChaosStage, type ChaosStageOptions } from './chaos-stage.ts';
import { CloudInstance, userDataWith, type Sent } from './cloud-user.ts';
import { Draw } from './draw.ts';
import type { Fault, FaultKind } from './fault.ts';
import { faultKinds } from './faults/index.ts';
import {
  atRest,
  machinesNow,
  runningAs,
  secretsShown,
  unsavedUnknown,
  watchDefaultVlan,
  type MachineNow,
} from './invariants.ts';
import { MaasUser, type UserCall } from './maas-user.ts';
import {
  drawRun,
  type Ask,
  type Freeze,
  type InstancePlan,
  type Kill,
  type RunPlan,
  type UserAsk,
  type UserPlan,
} from './run-plan.ts';
import { Timeline } from './timeline.ts';

/** What came of one run. */
export interface RunResult {
  readonly seed: number;
  /** What must not be, in words; empty = nothing. */
  readonly violations: readonly string[];
  readonly timeline: string;
  readonly faults: readonly string[];
  readonly sent: readonly Sent[];
  /** Requests of users of the MAAS API. */
  readonly calls: readonly UserCall[];
  readonly kills: number;
  readonly seconds: number;
}

/** A fault that was drawn. */
interface Struck {
  readonly fault: Fault;
  readonly kind: FaultKind;
  readonly machine: string;
  /** Epoch milliseconds; null = it has not begun. */
  begun: number | null;
}

/** From the end of the last fault until nothing moves any more, in milliseconds: a minute, on a floor that lives faster. */
const quietWithin = 60_000;
/** Between two looks whether it is quiet, which take some milliseconds themselves. */
const lookEvery = 50;
/** How often something is asked for that must come to be. */
const tries = 3;
let run = 0;

/** What the run of a seed draws on such a stage. */
export function planOf(
  seed: number,
  { engine, store, instances = 1 }: Pick<ChaosStageOptions, 'engine' | 'store' | 'instances'>,
): RunPlan {
  const users = engine === 'native' ? userNames.length : 0;
  return drawRun(new Draw(seed), {
    machines: cloudMachines,
    users,
    instances,
    store,
    engine,
    kinds: faultKinds,
  });
}

/** One run, drawn wholly from its seed. The stage is at rest before it, and after it unless something is wrong. */
export async function conduct(
  stage: ChaosStage,
  seed: number,
  options: ConductOptions = {},
): Promise<RunResult> {
  return new Run(stage, seed, options).conduct();
}

export interface ConductOptions {
  /** The run ends with the first thing that is wrong, whatever it leaves. */
  readonly brief?: boolean;
}

class Run {
  readonly #stage: ChaosStage;
  readonly #seed: number;
  readonly #brief: boolean;
  readonly #plan: RunPlan;
  readonly #timeline = new Timeline();
  readonly #violations: string[] = [];
  readonly #instances: CloudInstance[] = [];
  readonly #users: MaasUser[] = [];
  readonly #faults: Struck[] = [];
  /** Of what the floor's own watcher does not know. */
  readonly #seen: Violation[] = [];
  /** Power commands that its BMC had heard when the run began, by machine. */
  readonly #heard = new Map<string, number>();
  readonly #secrets: string[] = [];
  /** When a machine was last seen to go off. */
  readonly #offAt = new Map<string, number>();
  readonly #installs: { readonly machine: string; readonly at: number }[] = [];
  readonly #began = Date.now();
  /** All histories are over. */
  #lived = false;

  constructor(stage: ChaosStage, seed: number, { brief = false }: ConductOptions) {
    this.#brief = brief;
    this.#stage = stage;
    this.#seed = seed;
    this.#plan = planOf(seed, {
      engine: stage.engine,
      store: stage.database.type,
      instances: stage.instances,
    });
  }

  async conduct(): Promise<RunResult> {
    const stage = this.#stage;
    const begin = performance.now();
    const { kills } = stage;
    stage.timeline = this.#timeline;
    stage.deaths.length = 0;
    stage.lateCommands.length = 0;
    stage.database.lateWrites();
    stage.news();
    const reporter = setInterval(() => this.#devices(), 50);
    const { violations } = stage.floor.oracle;
    violations.length = 0;
    const off = stage.floor.machines.map(({ machine }) =>
      machine.events.on('installing', () => this.#installs.push({ machine: machine.name, at: Date.now() })),
    );
    off.push(
      ...stage.floor.machines.map(({ machine }) =>
        machine.events.on('phase', ({ phase }) => {
          if (phase === 'off') this.#offAt.set(machine.name, Date.now());
        }),
      ),
      watchDefaultVlan(stage.floor, (violation) => {
        this.#timeline.tell('floor', `LAW ${violation.law}: ${violation.said}`);
        this.#seen.push(violation);
      }),
    );
    for (const { machine, bmc } of stage.floor.machines) this.#heard.set(machine.name, bmc.log.length);
    try {
      for (const act of [
        () => this.#play(),
        () => this.#quiet(),
        () => this.#settleInstances(),
        () => this.#settleUsers(),
        () => this.#everybodyGoes(),
        () => this.#shown(),
      ])
        if (!this.#over([...violations, ...this.#seen])) await act();
    } catch (error) {
      this.#wrong(`the run broke off: ${(error as Error).stack ?? String(error)}`);
    } finally {
      for (const unsubscribe of off) unsubscribe();
      clearInterval(reporter);
    }
    this.#judgeOracle([...violations, ...this.#seen]);
    for (const death of stage.deaths) this.#wrong(`the service ended by itself ${death}`);
    for (const late of [...stage.lateCommands, ...stage.database.lateWrites()]) this.#wrong(late);
    if (this.#violations.length > 0) await this.#record();
    return {
      seed: this.#seed,
      violations: this.#violations,
      timeline: this.#timeline.text(),
      faults: this.#plan.faults.map(({ kind }) => kind.name),
      sent: this.#instances.flatMap(({ sent }) => sent),
      calls: this.#users.flatMap(({ calls }) => calls),
      kills: stage.kills - kills,
      seconds: (performance.now() - begin) / 1_000,
    };
  }

  #over(violations: readonly Violation[]): boolean {
    return this.#brief && (this.#violations.length > 0 || violations.some((one) => !this.#excused(one)));
  }

  #devices(): void {
    for (const line of this.#stage.news()) this.#timeline.tell('device', line);
  }

  #wrong(what: string): void {
    this.#timeline.tell('WRONG', what);
    this.#violations.push(what);
  }

  // ---- the history ----

  async #play(): Promise<void> {
    const { instances, users, faults, kills, freezes } = this.#plan;
    run += 1;
    const lives = instances.map((plan, n) => {
      const secret = `PLANTED-user-${run}-${n}-9b1f`;
      this.#secrets.push(secret, userDataWith(secret));
      const home = this.#stage.machines[plan.machine]!;
      const instance = new CloudInstance(this.#stage, `i-${run}-${n}-VM`, plan.tenant, home, secret, {
        complain: (what) => this.#wrong(what),
        settled: () => !this.#faults.some(({ kind, begun }) => begun !== null && kind.unsettles),
        leftBy: (start, by) => this.#leftBy(start, by),
      });
      this.#instances.push(instance);
      this.#timeline.tell('draw', `${instance.name} (${plan.tenant}) on ${home}: ${describeLife(plan)}`);
      return this.#live(instance, plan);
    });
    const uses = users.map((plan, n) => {
      const secret = `PLANTED-maas-${run}-${n}-4c7d`;
      this.#secrets.push(secret, userDataWith(secret));
      const name = userNames[n]!;
      const user = new MaasUser(
        this.#stage,
        { name, secret, further: plan.further },
        {
          complain: (what) => this.#wrong(what),
          settled: () => !this.#faults.some(({ kind, begun }) => begun !== null && kind.unsettles),
          others: () => this.#users,
        },
      );
      this.#users.push(user);
      this.#timeline.tell('draw', `${name}: ${describeUse(plan)}`);
      return this.#use(user, plan);
    });
    for (const kill of kills) this.#timeline.tell('draw', describeKill(kill));
    const troubles = faults.map(async ({ kind, machine, from, after, lasts, draw }) => {
      const fault = kind.make(draw, { stage: this.#stage, machine: this.#machine(machine) });
      const entry: Struck = { fault, kind, machine: this.#machine(machine), begun: null };
      this.#faults.push(entry);
      this.#timeline.tell(
        'draw',
        `${kind.name}, from ${from} ms${after ? ` after the first ${after}` : ''} for ${lasts} ms: ${fault.text}`,
      );
      if (after && !(await this.#asked(after))) return fault.end();
      await delay(from);
      this.#timeline.tell('fault', fault.text);
      entry.begun = Date.now();
      await fault.begin();
      await delay(lasts);
      await fault.end();
      this.#timeline.tell('fault', `over: ${kind.name}`);
    });
    void Promise.all(lives).then(() => (this.#lived = true));
    const deaths = kills.map(async (kill) => {
      await delay(kill.from);
      this.#stage.restartPause = kill.pause;
      if (kill.at === 'moment') this.#stage.kill(kill.instance);
      else this.#stage.killAt(kill.boundary);
    });
    const rests = freezes.map(async (freeze) => {
      const { instance, from, lasts, at } = freeze;
      this.#timeline.tell('draw', describeFreeze(freeze));
      await delay(from);
      const goOn = at
        ? await this.#stage.freezeAt(at.device, at.nth, () => this.#lived)
        : this.#stage.freeze(instance);
      if (!goOn) return;
      await delay(lasts);
      await goOn();
    });
    await Promise.all([...lives, ...uses, ...troubles, ...deaths, ...rests]);
    this.#withoutTrouble();
    this.#stage.killAt(null);
    this.#stage.restartPause = 0;
    for (const { machine, bmc } of this.#stage.floor.machines) {
      machine.behaviours.clear();
      bmc.heal();
    }
    for (const device of this.#stage.floor.switches) device.behaviours.clear();
    this.#timeline.tell('fault', 'all faults are gone');
  }

  /** Resolves when a command is sent for the first time; false = no instance sends one. */
  async #asked(ask: Ask): Promise<boolean> {
    const sent = (): boolean =>
      this.#instances.some((instance) => instance.sent.some((one) => one.ask === ask));
    while (!sent() && !this.#lived) await delay(10);
    return sent();
  }

  /** Where nothing goes wrong and nobody is in the way, every answer is yes: otherwise a run might test refusals only. */
  #withoutTrouble(): void {
    const { instances, faults, kills } = this.#plan;
    const plain = instances.every(({ lines }) =>
      lines.every(({ meanwhile, elsewhere }) => !meanwhile && !elsewhere),
    );
    if (faults.length > 0 || kills.length > 0) return;
    if (this.#users.length === 1)
      for (const { ask, outcome } of this.#users[0]!.calls)
        if (ask !== 'poach' && outcome !== 'ok')
          this.#wrong(`without any fault, ${ask} of a user: ${outcome}`);
    if (!plain || instances.length > 1) return;
    for (const { ask, outcome, details } of this.#instances.flatMap(({ sent }) => sent))
      if (outcome !== 'ok') this.#wrong(`without any fault, ${ask}: ${outcome}, ${details ?? ''}`);
  }

  /** The cloud's machines in their order, then the one for users. */
  #machine(index: number): string {
    return this.#stage.machines[index] ?? this.#stage.userMachine!;
  }

  async #use(user: MaasUser, { from, lines }: UserPlan): Promise<void> {
    await delay(from);
    const open: Promise<unknown>[] = [];
    for (const { ask, meanwhile, after } of lines) {
      if (!meanwhile) await Promise.all(open);
      await delay(after);
      open.push(user.ask(ask));
    }
    await Promise.all(open);
  }

  async #live(instance: CloudInstance, plan: InstancePlan): Promise<void> {
    await delay(plan.from);
    const open: Promise<unknown>[] = [];
    for (const line of plan.lines) {
      if (!line.meanwhile) await Promise.all(open);
      await delay(line.after);
      if (instance.told === 'gone') break;
      const machine = line.elsewhere ? this.#another(instance.home) : instance.home;
      const sending = (async () => {
        const sent = await instance.send(line.ask, machine);
        const last = () => instance.sent.at(-1) === sent;
        if (sent.outcome === 'lost' && line.repeat && last()) await instance.send(line.ask, machine);
        else if (line.again && last()) await this.#again(instance, sent);
      })();
      open.push(sending);
    }
    await Promise.all(open);
  }

  /**
   * The same command once more, after its answer, with a new sequence number: the answer is the same (law 7). Where a fault may
   * have changed what it is about, it is only asked.
   */
  async #again(instance: CloudInstance, first: Sent): Promise<void> {
    if (first.answered === null) return;
    const second = await instance.send(first.ask, first.machine, first);
    const others = this.#faults.some(({ begun }) => begun !== null);
    if (second.answered === null || others || instance.sent.at(-1) !== second) return;
    // What an operation that was in the way says of itself changes while it goes on, and then it is over.
    if (first.outcome === 'refused' && / is running/.test(first.details ?? '')) return;
    if (plainAnswer(first) === plainAnswer(second)) return;
    this.#wrong(
      `${first.ask} ${instance.name} on ${first.machine} was answered "${plainAnswer(first)}", and once more "${plainAnswer(second)}"`,
    );
  }

  /**
   * A Start that fails is undone before it is answered (law 6): what it wrote to the machine is over, by a power-off. Where BMCs
   * or switches fail it may only be fenced, and where somebody else is at the machine it is his.
   */
  #leftBy(start: Sent, by: CloudInstance): string | null {
    const name = start.machine;
    const strangers = this.#instances.some(
      (other) => other !== by && other.sent.some(({ ask, machine }) => ask === 'start' && machine === name),
    );
    const anew = by.sent.some(
      (other) => other !== start && other.ask === 'start' && other.outcome !== 'refused',
    );
    const devices = this.#faults.some(
      ({ kind, begun }) => begun !== null && /^(BMC|switch|power|another)/.test(kind.name),
    );
    if (strangers || anew || devices) return null;
    const written = this.#installs.findLast(({ machine, at }) => machine === name && at >= start.at);
    if (!written || (this.#offAt.get(name) ?? 0) >= written.at) return null;
    return `${name} was not switched off since that Start began to write its image`;
  }

  #another(home: string): string {
    const { machines } = this.#stage;
    return machines[(machines.indexOf(home) + 1) % machines.length]!;
  }

  // ---- afterwards ----

  /** Nothing runs and nothing is open any more, soon after the last fault. */
  async #quiet(): Promise<void> {
    // Where the computer has too much to do, looks come late: each counts as one that came in time, so that the bound is
    // the service's alone. The second end is for one that stands still.
    const end = performance.now() + 5 * quietWithin;
    for (let waited = 0; ; waited += lookEvery) {
      const restless = await this.#restless();
      if (restless === null) break;
      if (waited > quietWithin || performance.now() > end) {
        this.#wrong(`not quiet ${quietWithin} ms after the last fault: ${restless}`);
        return;
      }
      await delay(lookEvery);
    }
    this.#timeline.tell('chaos', 'quiet');
  }

  async #restless(): Promise<string | null> {
    const stage = this.#stage;
    if (!stage.up) return 'the service is not up';
    const { operations } = (await stage.ask('GET', '/operations?active=1')) as {
      readonly operations: readonly Readonly<Record<string, unknown>>[];
    };
    if (operations.length > 0)
      return `operations go on: ${operations.map((one) => `${String(one['kind'])} ${String(one['id'])}`).join(', ')}`;
    const machines = await machinesNow(stage);
    // What a failed Start left is erased by the service itself.
    const dirty = machines.find(
      ({ state, claim, quarantine }) => state === 'failed' && !claim && !quarantine,
    );
    if (dirty)
      return `${dirty.hostname} is failed, held by nobody and not withheld, and nothing is done about it`;
    const away = stage.machines.find(
      (name) => !stage.cloud.hosts().some((host) => host.guid === stage.guid(name) && host.state === 'Up'),
    );
    return away === undefined ? null : `the host of ${away} is not Up at the management server`;
  }

  /** Every instance comes to what was drawn for it, now that nothing is in its way; withheld machines come back. */
  async #settleInstances(): Promise<void> {
    await this.#lift();
    await this.#oneEach();
    for (const [n, instance] of this.#instances.entries()) {
      if (instance.told === 'gone') continue;
      const wish = instance.given ? 'destroy' : this.#plan.instances[n]!.wish;
      const held = await this.#heldBy(instance);
      if (wish === 'stop' && held && !held.quarantine) {
        await this.#must(instance, 'stop', held.hostname);
        this.#expect(held.hostname, 'off');
      }
      if (wish === 'run' && !held?.quarantine) await this.#run(instance, held);
    }
    await this.#oneEach();
  }

  async #run(instance: CloudInstance, held: MachineNow | null): Promise<void> {
    const target =
      held ??
      (await machinesNow(this.#stage)).find(
        ({ hostname, state, claim, quarantine }) =>
          hostname !== this.#stage.userMachine && state === 'ready' && !claim && !quarantine,
      );
    if (!target) return;
    const { machine } = this.#stage.floor.find(target.hostname);
    // Somebody's machine may be on and hang: then it is switched off first, as its owner would.
    if (held && machine.power() === 'on' && !machine.os) await this.#must(instance, 'stop', target.hostname);
    if (!(await this.#must(instance, 'start', target.hostname))) return;
    await runningAs(this.#stage, instance, target.hostname).catch((error: unknown) =>
      this.#wrong((error as Error).message),
    );
  }

  /** What a user has comes to what was drawn for it, and is given back. */
  async #settleUsers(): Promise<void> {
    await Promise.all(this.#users.map(async (user) => user.held && this.#user(user, 'release')));
    for (const [n, user] of this.#users.entries()) {
      const { wish } = this.#plan.users[n]!;
      if (wish === 'release') continue;
      await this.#quiet();
      await this.#lift();
      await this.#user(user, 'allocate');
      if (await this.#user(user, 'deploy'))
        await until(() => user.running(), `the addresses of ${user.name}'s machine`).catch((error: unknown) =>
          this.#wrong((error as Error).message),
        );
      await this.#user(user, 'release');
    }
  }

  /** The service must do it now that everything is in order; a computer that is too busy may make it try again. */
  async #user(user: MaasUser, ask: UserAsk): Promise<boolean> {
    for (let attempt = 1; attempt <= tries; attempt += 1) {
      if (await user.ask(ask)) return true;
      // A deployment that failed leaves the machine with its user, who gives it back and takes it again.
      if (ask === 'deploy' && attempt < tries) {
        await user.ask('release');
        await this.#quiet();
        await this.#lift();
        await user.ask('allocate');
      } else await this.#quiet();
    }
    this.#wrong(`with all faults gone, ${ask} by ${user.name} came to nothing`);
    return false;
  }

  async #everybodyGoes(): Promise<void> {
    await Promise.all(
      this.#instances.map(async (instance) => {
        if (instance.told === 'gone') return;
        const held = await this.#heldBy(instance);
        await this.#must(instance, 'destroy', held?.hostname ?? instance.home);
      }),
    );
    await this.#quiet();
    await this.#lift();
    await this.#undoEdits();
    for (const complaint of await atRest(this.#stage)) this.#wrong(complaint);
    if (!this.#faults.some(({ kind }) => kind.name === 'another admin edits'))
      for (const complaint of await unsavedUnknown(this.#stage)) this.#wrong(complaint);
  }

  /** Nobody looks at the ports of a machine until something is asked of it: what somebody edited there since, a person has undone. */
  async #undoEdits(): Promise<void> {
    const { operations } = (await this.#stage.ask('GET', '/operations')) as {
      readonly operations: readonly {
        readonly kind: string;
        readonly state: string;
        readonly machineId: string;
        readonly createdAt: number;
      }[];
    };
    const machines = await machinesNow(this.#stage);
    for (const { kind, begun, machine } of this.#faults) {
      const { id } = machines.find(({ hostname }) => hostname === machine)!;
      const since = operations.some(
        (one) =>
          one.machineId === id &&
          one.createdAt >= (begun ?? 0) &&
          one.state === 'done' &&
          ['destroy', 'erase'].includes(one.kind),
      );
      if (kind.name !== 'another admin edits' || begun === null || since) continue;
      this.#timeline.tell(
        'chaos',
        `${machine}: nothing was asked of it since somebody edited its ports: it is erased`,
      );
      const complaint = await this.#erase(machine);
      if (complaint !== null) this.#wrong(complaint);
    }
  }

  /** The service must do it now that everything is in order; a computer that is too busy may make it try again. */
  async #must(instance: CloudInstance, ask: Sent['ask'], machine: string): Promise<boolean> {
    for (let attempt = 1; ; attempt += 1) {
      const sent = await instance.send(ask, machine);
      if (sent.outcome === 'ok') {
        if (this.#plan.instances[this.#instances.indexOf(instance)]!.twice)
          await this.#equally(instance, sent);
        return true;
      }
      if (attempt === tries) {
        this.#wrong(
          `with all faults gone, ${ask} ${instance.name} on ${machine}: ${sent.outcome}, ${sent.details ?? ''}`,
        );
        return false;
      }
      await this.#quiet();
      if (ask !== 'destroy') await this.#lift();
    }
  }

  /** Nothing is in the way any more, so that what was answered yes is answered yes in the same words. */
  async #equally(instance: CloudInstance, first: Sent): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      const second = await instance.send(first.ask, first.machine, first);
      if (plainAnswer(first) === plainAnswer(second)) return;
      if (second.answered === null && attempt < tries) continue;
      this.#wrong(
        `with all faults gone, ${first.ask} ${instance.name} on ${first.machine} was answered "${plainAnswer(first)}", and once more "${plainAnswer(second)}"`,
      );
      return;
    }
  }

  #expect(machine: string, power: 'on' | 'off'): void {
    const found = this.#stage.floor.find(machine).machine.power();
    if (found !== power) this.#wrong(`${machine} is ${found}, told ${power}`);
  }

  async #heldBy(instance: CloudInstance): Promise<MachineNow | null> {
    const machines = await machinesNow(this.#stage);
    return machines.find(({ claim }) => claim?.externalId === instance.externalId) ?? null;
  }

  /** What was rightly withheld comes back, as a person would bring it back once the cause is gone. */
  async #lift(): Promise<void> {
    await this.#liftUpstream();
    for (let attempt = 1; attempt <= tries; attempt += 1) {
      const machines = await machinesNow(this.#stage);
      const withheld = machines.filter(({ claim, quarantine }) => quarantine && !claim);
      if (withheld.length === 0) return;
      for (const { hostname, quarantine } of withheld) {
        this.#timeline.tell('chaos', `${hostname} is withheld (${quarantine!.code}): it is erased`);
        const complaint = await this.#erase(hostname);
        if (complaint === null) continue;
        if (attempt === tries) this.#wrong(complaint);
        else this.#timeline.tell('chaos', complaint);
      }
    }
  }

  /** A BMC that is silent for long is so for the upstream MAAS too, which then marks its machine as broken, for a person. */
  async #liftUpstream(): Promise<void> {
    if (this.#stage.engine !== 'maas') return;
    const { admin } = this.#stage.stage.upstream;
    const { machines } = (await admin.call('GET', '/machines')) as {
      readonly machines: readonly MachineNow[];
    };
    for (const { id, hostname, quarantine } of machines) {
      if (!quarantine) continue;
      this.#timeline.tell('chaos', `upstream, ${hostname} is withheld (${quarantine.code}): it is erased`);
      await admin.call('POST', `/machines/${id}/erase`, {});
      await until(
        async () => {
          const { machine } = (await admin.call('GET', `/machines/${id}`)) as {
            readonly machine: MachineNow;
          };
          return machine.operation === null && machine.quarantine === null;
        },
        `the upstream MAAS to have ${hostname} back`,
        quietWithin,
      );
    }
  }

  async #erase(hostname: string): Promise<string | null> {
    const { operation } = (await this.#stage.ask('POST', `/machines/${hostname}/erase`, {})) as {
      readonly operation: { readonly id: string };
    };
    for (;;) {
      const ended = (await this.#stage.ask('GET', `/operations/${operation.id}`)) as {
        readonly operation: {
          readonly state: string;
          readonly endedAt: number | null;
          readonly error: unknown;
        };
      };
      const { endedAt, state, error } = ended.operation;
      if (endedAt === null) await delay(50);
      else if (state === 'done') return null;
      else return `with all faults gone, the erase of ${hostname} ${state}: ${JSON.stringify(error)}`;
    }
  }

  /** One machine at most runs an instance's system, and none runs somebody's that was given up. */
  async #oneEach(): Promise<void> {
    for (const instance of this.#instances) {
      const on = this.#stage.floor.machines.filter(({ machine }) =>
        machine.os?.interfaces.some(({ mac }) => instance.macs.includes(mac)),
      );
      if (on.length > 1)
        this.#wrong(`${instance.name} runs on ${on.map(({ machine }) => machine.name).join(' and ')}`);
    }
    const machines = await machinesNow(this.#stage);
    const holders = machines.flatMap(({ claim }) => (claim ? [claim.externalId] : []));
    if (new Set(holders).size !== holders.length)
      this.#wrong(`an instance holds two machines: ${holders.join(', ')}`);
  }

  async #shown(): Promise<void> {
    for (const where of await secretsShown(
      this.#stage,
      [...this.#stage.secrets, ...this.#secrets],
      this.#began,
    ))
      this.#wrong(where);
    const { operations } = (await this.#stage.ask('GET', '/operations')) as {
      readonly operations: readonly {
        readonly id: string;
        readonly kind: string;
        readonly machineId: string;
        readonly createdAt: number;
        readonly endedAt: number | null;
      }[];
    };
    const machines = await machinesNow(this.#stage);
    for (const machine of machines) {
      const starts = operations.filter(
        ({ kind, machineId, createdAt }) =>
          kind === 'start' && machineId === machine.id && createdAt >= this.#began,
      );
      for (const start of starts) {
        const count = this.#installs.filter(
          ({ machine: name, at }) =>
            name === machine.hostname && at >= start.createdAt && at <= (start.endedAt ?? Infinity),
        ).length;
        if (count > 1) this.#wrong(`${start.id} wrote ${count} images to ${machine.hostname}`);
      }
      this.#atMostOnce(machine.hostname, (kind) =>
        operations.filter(
          (one) => one.kind === kind && one.machineId === machine.id && one.createdAt >= this.#began,
        ),
      );
    }
  }

  /** What must not be repeated blindly came no more often than it was asked for (law 1). */
  #atMostOnce(machine: string, of: (kind: string) => readonly unknown[]): void {
    const log = this.#stage.floor.find(machine).bmc.log.slice(this.#heard.get(machine));
    for (const [action, kind] of [
      ['cycle', 'reboot'],
      ['soft', 'stop'],
    ] as const) {
      const told = log.filter((one) => one.action === action).length;
      const asked = of(kind).length;
      if (told > asked)
        this.#wrong(
          `the BMC of ${machine} was told ${told} times ${action}, for ${asked} operations of kind ${kind}`,
        );
    }
  }

  #judgeOracle(violations: readonly Violation[]): void {
    for (const violation of violations) {
      const text = `law ${violation.law} on ${violation.machine}: ${violation.said}`;
      if (this.#excused(violation)) this.#timeline.tell('chaos', `excused: ${text}`);
      else this.#wrong(text);
    }
  }

  #excused(violation: Violation): boolean {
    return this.#plugging(violation) || this.#faults.some(({ fault }) => fault.excuses?.(violation));
  }

  /** The ports of a bond change one after the other, and its system may come up in between. What they end as is looked at in the end. */
  #plugging({ law, machine, at }: Violation): boolean {
    return (
      law === '4d' &&
      this.#instances.some(({ sent }) =>
        sent.some(
          (one) =>
            (one.ask === 'plug' || one.ask === 'unplug') &&
            one.machine === machine &&
            one.at <= at &&
            at <= one.until,
        ),
      )
    );
  }

  /** What a person needs to find the mistake. */
  async #record(): Promise<void> {
    const tell = (text: string): void => this.#timeline.tell('record', text);
    for (const line of this.#stage.floor.tableText().split('\n')) tell(line);
    this.#devices();
    try {
      const { operations } = (await this.#stage.ask('GET', '/operations', undefined, 2_000)) as {
        readonly operations: readonly Readonly<Record<string, unknown>>[];
      };
      for (const operation of operations.filter((one) => Number(one['createdAt']) >= this.#began).reverse()) {
        tell(JSON.stringify(operation));
        const { steps } = await this.#stage.ask('GET', `/operations/${String(operation['id'])}`);
        for (const step of steps as readonly unknown[]) tell(`    ${JSON.stringify(step)}`);
      }
      for (const machine of await machinesNow(this.#stage)) tell(JSON.stringify(machine));
    } catch (error) {
      tell(`the service tells nothing: ${(error as Error).message}`);
    }
  }
}

function plainAnswer({ outcome, answered, details }: Sent): string {
  const text = `${outcome}, ${answered ?? 'no answer'}, ${details ?? ''}`;
  // Each refusal is an operation of its own, at its own time.
  return text.replaceAll(/op[-_]\w+/g, 'op').replaceAll(/\d+(\.\d+)? ?(ms|s)\b/g, 'time');
}

function describeLife({ lines, from, wish, twice }: InstancePlan): string {
  const told = lines.map(
    ({ ask, meanwhile, after, elsewhere, repeat, again }) =>
      `${meanwhile ? 'meanwhile ' : ''}${ask}${elsewhere ? ' elsewhere' : ''} after ${after} ms${repeat ? '' : ' (not repeated)'}${again ? ', twice' : ''}`,
  );
  return `from ${from} ms: ${told.join('; ')}; in the end ${wish}${twice ? ', asked twice' : ''}`;
}

function describeUse({ lines, from, further, wish }: UserPlan): string {
  const told = lines.map(
    ({ ask, meanwhile, after }) => `${meanwhile ? 'meanwhile ' : ''}${ask} after ${after} ms`,
  );
  return `from ${from} ms${further ? ', with a VLAN more' : ''}: ${told.join('; ')}; in the end ${wish}`;
}

function describeFreeze({ instance, from, lasts, at }: Freeze): string {
  const who = at
    ? `whoever gives a ${at.device === 'switch' ? 'switch' : 'BMC'} the ${at.nth}. command`
    : `instance ${instance + 1}`;
  return `${who} from ${from} ms on stands still for ${lasts} ms`;
}

function describeKill(kill: Kill): string {
  const where =
    kill.at === 'moment' ? `at ${kill.from} ms` : `at ${kill.boundary}, looked for from ${kill.from} ms`;
  return `kill -9 ${where}, started again after ${kill.pause} ms`;
}
