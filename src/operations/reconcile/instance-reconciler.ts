import { milliseconds, type Duration, type ErrorParts } from '../../../plugin-api/index.ts';
import { askerOf, type Principal } from '../../core/access/principal.ts';
import { wholeScope } from '../../core/access/scope.ts';
import type { Claim, GoneClaim } from '../../core/claim/claim.ts';
import type { MachineId } from '../../core/machine/machine.ts';
import type { Tx } from '../../core/storage/storage.ts';
import { Mutex } from '../../kernel/concurrency/mutex.ts';
import { asCodedError } from '../../kernel/errors/service-error.ts';
import { newSortableId } from '../../kernel/ids/ids.ts';
import type { Operations } from '../operations.ts';
import type { World } from '../world.ts';
import type { InstanceDirectory, Sighting } from './instance-directory.ts';

export interface ReconcileSettings {
  /** Between rounds; the first comes at a random point of it. */
  readonly interval: Duration;
  /** Rounds in a row that must find an instance gone. */
  readonly rounds: number;
  /** Least time between two rounds that count, whoever asked for them. */
  readonly spacing: Duration;
  /** Whether machines of expunged instances are taken back; otherwise they are only reported. */
  readonly destroy: boolean;
  /** Most machines taken back in one round. */
  readonly maxPerRound: number;
  /** When more than this many of a hundred instances are gone at once, nothing is taken back. */
  readonly maxPercent: number;
}

const principal: Principal = { name: 'cloudstack-reconcile', role: 'operator', scope: wholeScope };

/** So few may always be gone together: of two instances one is half. */
const alwaysPlausible = 2;

export interface ReconcileEntry {
  readonly machineId: MachineId;
  readonly hostname: string;
  readonly instance: string;
  readonly instanceUuid: string | null;
  /** `busy` = an operation runs there, so nothing was judged. */
  readonly verdict: Sighting['kind'] | 'busy';
  /** What the verdict rests on. */
  readonly detail: string;
  /** How many rounds in a row, with this one, found it gone. */
  readonly rounds: number;
  /**
   * `counting` = gone, but not often enough yet; `reported` = left to a person; `held-back` = the brake, or this round's limit;
   * `refused` = its Destroy was; `would-destroy` = only asked what would be done.
   */
  readonly action:
    'none' | 'counting' | 'reported' | 'held-back' | 'destroying' | 'would-destroy' | 'refused';
  readonly operationId: string | null;
}

export interface ReconcileReport {
  readonly at: number;
  readonly dryRun: boolean;
  /** Whether machines are taken back at all. */
  readonly destroy: boolean;
  readonly roundsNeeded: number;
  /** Why the round told nothing, or null. Whatever was counted before begins anew. */
  readonly problem: ErrorParts | null;
  /** Why nothing is taken back although instances are gone, or null. */
  readonly brake: string | null;
  readonly entries: readonly ReconcileEntry[];
}

/** A machine that an instance of this cloud holds. */
interface Held {
  readonly claim: Claim;
  readonly name: string;
  readonly hostname: string;
  readonly busy: boolean;
  /** Of a database that was restored since: another may be there by now, and nobody is taken back for it. */
  readonly beforeRestore: boolean;
  /** In how many rounds up to now its instance was gone. */
  readonly before: GoneClaim | null;
}

export interface InstanceReconcilerOptions {
  readonly world: Pick<World, 'storage' | 'clock' | 'log' | 'metrics'> & {
    readonly instances: Pick<World['instances'], 'leads'>;
  };
  readonly operations: Pick<Operations, 'submit'>;
  readonly directory: InstanceDirectory;
  /** Only instances of this cloud are looked up. */
  readonly cloud: string;
  readonly settings: ReconcileSettings;
  /** A number from 0 up to 1, for spreading rounds. */
  readonly random?: (() => number) | undefined;
}

/**
 * Finds machines whose instance CloudStack has expunged without saying so here. Taking a machine back erases it, so nothing is done on a
 * single sight, on an answer that is not complete, while an operation runs there, or to many at once. In which rounds an
 * instance was gone is counted in the database: another instance of the service, or the next process, goes on with it.
 */
export class InstanceReconciler {
  readonly #options: InstanceReconcilerOptions;
  /** When the latest rounds were counted, by the steady clock: what a jump of the wall clock sets apart is not apart. */
  #counts = new Map<MachineId, { readonly count: string; readonly at: number }>();
  /** A round failed, and that could not be written down: what was counted before does not count. */
  #broken = false;
  /** One round at a time: the timer's and a person's would count twice. */
  readonly #turn = new Mutex();
  readonly #stopping = new AbortController();
  #loop: Promise<void> | null = null;
  #last: ReconcileReport | null = null;
  #braking = false;

  constructor(options: InstanceReconcilerOptions) {
    this.#options = options;
  }

  /** The last round that counted, or null before the first. */
  get last(): ReconcileReport | null {
    return this.#last;
  }

  get settings(): ReconcileSettings {
    return this.#options.settings;
  }

  /** Begins the periodic rounds. */
  start(): void {
    this.#loop ??= this.#run();
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new Error('the reconcile stops'));
    await this.#loop;
  }

  async #run(): Promise<void> {
    const { settings, world, random = Math.random } = this.#options;
    const { signal } = this.#stopping;
    const sleep = (share: number): Promise<void> =>
      world.clock.sleep(milliseconds(settings.interval * share), signal).catch(() => undefined);
    // Several services must not ask in step.
    await sleep(random());
    while (!signal.aborted) {
      if (world.instances.leads('reconcile')) await this.round();
      await sleep(0.9 + 0.2 * random());
    }
  }

  /** One round now. `dryRun` counts nothing, learns nothing and does nothing. Never rejects because of CloudStack. */
  round({ dryRun = false } = {}): Promise<ReconcileReport> {
    return this.#turn.run(async () => {
      const report = await this.#round(dryRun).catch((thrown: unknown) => this.#failed(dryRun, thrown));
      if (!dryRun) this.#last = report;
      return report;
    });
  }

  async #round(dryRun: boolean): Promise<ReconcileReport> {
    const { directory, settings, world } = this.#options;
    const held = await this.#held();
    const idle = held.filter(({ busy }) => !busy);
    const sightings =
      idle.length === 0
        ? new Map<string, Sighting>()
        : await directory.look(
            idle.map(({ name, claim }) => ({ name, uuid: claim.instanceUuid })),
            this.#stopping.signal,
          );
    const now = world.clock.now();
    const judged = held.map((one) => {
      const sighting: Sighting = sightings.get(one.name) ?? {
        kind: 'unclear',
        why: 'nothing was said of it',
      };
      if (one.busy) return { ...one, sighting, streak: null };
      return { ...one, sighting, streak: sighting.kind === 'gone' ? this.#counted(one, now) : null };
    });
    const gone = judged.filter(({ streak }) => streak !== null);
    const brake = brakeText(gone.length, held.length, settings.maxPercent);
    const standing = dryRun ? null : await this.#record(held, sightings, judged);
    if (!dryRun) await this.#tellBrake(brake);

    let left = settings.maxPerRound;
    const entries: ReconcileEntry[] = [];
    for (const { beforeRestore, claim, hostname, name, busy, sighting, streak } of judged) {
      const entry = {
        machineId: claim.machineId,
        hostname,
        instance: name,
        instanceUuid: claim.instanceUuid ?? ('uuid' in sighting ? sighting.uuid : null),
        verdict: busy ? ('busy' as const) : sighting.kind,
        detail: busy ? 'an operation runs on the machine' : detailOf(sighting),
        rounds: streak?.rounds ?? 0,
        action: 'none' as ReconcileEntry['action'],
        operationId: null as string | null,
      };
      // Another instance of the service saw it otherwise meanwhile.
      const doubted = standing !== null && !standing.has(claim.machineId);
      if (streak && (streak.rounds < settings.rounds || doubted)) entry.action = 'counting';
      else if (streak && (!settings.destroy || beforeRestore)) {
        entry.action = 'reported';
        if (!dryRun) await this.#tellGone(claim, hostname, name, streak);
      } else if (streak && (brake !== null || left === 0)) entry.action = 'held-back';
      else if (streak) {
        left -= 1;
        if (dryRun) entry.action = 'would-destroy';
        else Object.assign(entry, await this.#takeBack(claim, hostname, name, streak));
      }
      entries.push(entry);
    }
    const { destroy, rounds } = settings;
    return { at: now, dryRun, destroy, roundsNeeded: rounds, problem: null, brake, entries };
  }

  /** The machines that instances of this cloud hold. */
  async #held(): Promise<readonly Held[]> {
    const { cloud, world } = this.#options;
    const prefix = `${cloud}/`;
    return world.storage.run(async (tx) => {
      const claims = (await tx.claims.list()).filter(
        ({ holder, externalId }) => holder === 'instance' && externalId.startsWith(prefix),
      );
      const names = new Map((await tx.machines.list()).map(({ id, hostname }) => [id, hostname]));
      const acceptedAt = (await tx.history.read()).restored?.acceptedAt ?? null;
      const active = new Set((await tx.journal.listActive()).map(({ machineId }) => machineId));
      const gone = await goneByMachine(tx);
      return claims.map((claim) => ({
        claim,
        name: claim.externalId.slice(prefix.length),
        hostname: names.get(claim.machineId) ?? claim.machineId,
        busy: active.has(claim.machineId),
        // A claim that was adopted with the restore is of its very moment.
        beforeRestore: acceptedAt !== null && claim.since <= acceptedAt,
        before: gone.get(claim.machineId) ?? null,
      }));
    });
  }

  /** The count with this round in it; a round too soon after the last one that counted adds nothing. */
  #counted({ claim, before }: Held, now: number): GoneClaim {
    const { machineId, externalId, since: claimedAt } = claim;
    const same = before?.externalId === externalId && before.claimedAt === claimedAt;
    if (!same || this.#broken)
      return { machineId, externalId, claimedAt, rounds: 1, since: now, told: false };
    const known = this.#counts.get(machineId);
    // Of what another process counted it is not known when: it may have been just now.
    if (known?.count !== countOf(before)) return before;
    const apart = this.#options.world.clock.monotonic() - known.at >= this.#options.settings.spacing;
    return apart ? { ...before, rounds: before.rounds + 1 } : before;
  }

  /**
   * Writes down what this round told: UUIDs, and what it counted. What is not gone, or not judged, begins anew. Gives the machines
   * whose count is as this round counted it.
   */
  async #record(
    held: readonly Held[],
    sightings: ReadonlyMap<string, Sighting>,
    judged: readonly (Held & { readonly streak: GoneClaim | null })[],
  ): Promise<ReadonlySet<MachineId>> {
    const { cloud, world } = this.#options;
    const counted = judged.flatMap(({ before, streak }) => (streak ? [{ before, streak }] : []));
    const gone = new Set(counted.map(({ streak }) => streak.machineId));
    const standing = await world.storage.run(async (tx) => {
      for (const { claim, name } of held) {
        const sighting = sightings.get(name);
        if (claim.instanceUuid === null && sighting && 'uuid' in sighting)
          await tx.claims.learnInstanceUuid(claim.machineId, claim.externalId, sighting.uuid);
      }
      const stored = await goneByMachine(tx);
      const over = [...stored.values()].filter(
        ({ machineId, externalId }) => externalId.startsWith(`${cloud}/`) && !gone.has(machineId),
      );
      await tx.claims.forgetGone(over.map(({ machineId }) => machineId));
      const standing = new Set<MachineId>();
      for (const { before, streak } of counted) {
        // Two instances that count the same round count it once.
        const now = countOf(stored.get(streak.machineId) ?? null);
        if (streak !== before && now === countOf(before)) await tx.claims.putGone(streak);
        if (now === countOf(before) || now === countOf(streak)) standing.add(streak.machineId);
      }
      return standing;
    });
    this.#broken = false;
    const at = world.clock.monotonic();
    this.#counts = new Map(
      counted.map(({ before, streak }) => {
        const count = countOf(streak);
        const known = this.#counts.get(streak.machineId);
        return [streak.machineId, streak === before && known?.count === count ? known : { count, at }];
      }),
    );
    return standing;
  }

  async #takeBack(
    claim: Claim,
    hostname: string,
    name: string,
    streak: GoneClaim,
  ): Promise<Pick<ReconcileEntry, 'action' | 'operationId'>> {
    const { operations, world } = this.#options;
    const since = new Date(streak.since).toISOString();
    try {
      // Something may have begun there while the cloud was asked, and may have ended again.
      const { active, held } = await world.storage.run(async (tx) => ({
        active: await tx.journal.active(claim.machineId),
        held: await tx.claims.find(claim.machineId),
      }));
      const same = held?.externalId === claim.externalId && held.since === claim.since;
      if (active || !same) return { action: 'held-back', operationId: null };
      const { operation } = await operations.submit({
        kind: 'destroy',
        machineId: claim.machineId,
        externalId: claim.externalId,
        requester: askerOf(
          principal,
          'cloudstack-api',
          `CloudStack has expunged ${name} (${claim.instanceUuid}): seen ${streak.rounds} times since ${since}`,
        ),
      });
      world.log.warn(
        { machine: hostname, instance: name, operation: operation?.id },
        'expunged instance taken back',
      );
      return { action: operation ? 'destroying' : 'none', operationId: operation?.id ?? null };
    } catch (thrown) {
      world.log.error(
        { machine: hostname, instance: name, error: asCodedError(thrown).message },
        'the machine of an expunged instance cannot be taken back',
      );
      return { action: 'refused', operationId: null };
    }
  }

  async #tellGone(claim: Claim, hostname: string, name: string, streak: GoneClaim): Promise<void> {
    if (streak.told) return;
    await this.#alarm(
      'cloudstack.instance-gone',
      claim.machineId,
      `CloudStack has expunged ${name} (${claim.instanceUuid}), which still holds ${hostname}`,
      (tx) => tx.claims.putGone({ ...streak, told: true }),
    );
  }

  async #tellBrake(brake: string | null): Promise<void> {
    if (brake !== null && !this.#braking) await this.#alarm('cloudstack.too-many-gone', null, brake);
    this.#braking = brake !== null;
  }

  async #alarm(
    code: 'cloudstack.instance-gone' | 'cloudstack.too-many-gone',
    machineId: MachineId | null,
    text: string,
    told?: (tx: Tx) => Promise<void>,
  ): Promise<void> {
    const { clock, log, metrics, storage } = this.#options.world;
    const at = clock.now();
    await storage.run(async (tx) => {
      await tx.alarms.insert({ id: newSortableId('al', at), at, code, machineId, text });
      await told?.(tx);
    });
    metrics.alarms.inc({ code });
    log.warn({ code, machine: machineId }, text);
  }

  /** A round without an answer says nothing about anything: the rounds in a row are broken. */
  async #failed(dryRun: boolean, thrown: unknown): Promise<ReconcileReport> {
    const { settings, world } = this.#options;
    const error = asCodedError(thrown);
    // A round that a stop cut short was none.
    if (!dryRun && !this.#stopping.signal.aborted) {
      world.log.warn({ code: error.code, reason: error.message }, 'no reconcile with CloudStack');
      this.#broken = true;
      await this.#record([], new Map(), []).catch((unwritten: unknown) =>
        world.log.warn(
          { reason: asCodedError(unwritten).message },
          'a round that told nothing is not written down yet',
        ),
      );
    }
    return {
      at: world.clock.now(),
      dryRun,
      destroy: settings.destroy,
      roundsNeeded: settings.rounds,
      problem: error.toJSON(),
      brake: null,
      entries: [],
    };
  }
}

async function goneByMachine(tx: Tx): Promise<ReadonlyMap<MachineId, GoneClaim>> {
  return new Map((await tx.claims.gone()).map((record) => [record.machineId, record]));
}

/** Tells whether somebody counted in between. */
function countOf(record: GoneClaim | null): string {
  return record ? `${record.rounds} ${record.claimedAt} ${record.externalId}` : '';
}

function brakeText(gone: number, all: number, maxPercent: number): string | null {
  if (gone <= alwaysPlausible || gone * 100 <= all * maxPercent) return null;
  return `${gone} of ${all} instances look expunged, more than ${maxPercent} %: nothing is taken back`;
}

function detailOf(sighting: Sighting): string {
  if (sighting.kind === 'gone') return sighting.how;
  return sighting.kind === 'unclear' ? sighting.why : sighting.state;
}
