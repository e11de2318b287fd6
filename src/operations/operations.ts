import type { DeployPhase, Duration, EraseGrade, JsonObject } from '../../plugin-api/index.ts';
import { requesterOf, type Asker } from '../core/access/principal.ts';
import { authorise, authoriseOn, type Action } from '../core/access/rights.ts';
import { parseScope, wholeScope } from '../core/access/scope.ts';
import { userClaimId, type Claim } from '../core/claim/claim.ts';
import type { Machine, MachineId } from '../core/machine/machine.ts';
import type { OperationKind, OperationRecord } from '../core/storage/journal-records.ts';
import type { Tx } from '../core/storage/storage.ts';
import { Mutex } from '../kernel/concurrency/mutex.ts';
import { asCodedError, ServiceError } from '../kernel/errors/service-error.ts';
import { newSortableId } from '../kernel/ids/ids.ts';
import { arbitrate, subjectOf, type Contender } from './arbitration.ts';
import { actsByHolding, endClaim, refuseHidden } from './claims.ts';
import { commission } from './commission.ts';
import { destroy, endTenancy, releasedStep } from './destroy.ts';
import { erase } from './erase.ts';
import type { ExecutionHooks } from './journal/execution.ts';
import { planOperation, type PlanSection } from './journal/planner.ts';
import { Runner } from './journal/runner.ts';
import { listName, StepLists } from './journal/step-lists.ts';
import { isFenced, moveMachine, requireMachine } from './machine-state.ts';
import { plugNic, unplugNic, type NicOrder } from './nics.ts';
import { reboot } from './reboot.ts';
import type { RestoreMode } from './restore/restore-mode.ts';
import { startFirst, startKnown, type StartOrder } from './start.ts';
import { stop } from './stop.ts';
import type { World } from './world.ts';

/** A command for one machine. */
export type OperationRequest = {
  readonly machineId: MachineId;
  /** Authorised here, whichever door it came through. */
  readonly requester: Asker;
  readonly wait?: Duration | undefined;
} & (
  | ({
      readonly kind: 'start';
      /** The door knows that the instance never ran: `doPxe` (law 5). */ readonly firstDeployment: boolean;
    } & StartOrder)
  | { readonly kind: 'stop'; readonly externalId: string; readonly force: boolean }
  | { readonly kind: 'destroy'; readonly externalId: string; readonly grade?: EraseGrade | undefined }
  | { readonly kind: 'reboot'; readonly externalId: string }
  | ({ readonly kind: 'plug-nic' | 'unplug-nic' } & NicOrder)
  | { readonly kind: 'commission'; readonly grade: EraseGrade }
  | { readonly kind: 'erase'; readonly grade: Exclude<EraseGrade, 'none'> }
);

type StartRequest = OperationRequest & { readonly kind: 'start' };

export interface OperationsOptions {
  readonly defaultGrade: EraseGrade;
  /** Keeps everything from being done while the database is an older state than it was, and counts what begins. */
  readonly restore?: Pick<RestoreMode, 'closed' | 'refuse' | 'note'>;
  readonly hooks?: ExecutionHooks;
}

/** A command that a door answers, as its callers name it. */
export interface AnsweredCommand {
  readonly command: string;
  readonly machineId: MachineId;
  readonly requester: Asker;
}

export interface SaidAnswer {
  readonly text: string;
  readonly operationId?: string | null | undefined;
}

/** What a request came to. */
export type Submitted =
  | { readonly operation: OperationRecord; readonly joined: boolean }
  /** Nothing needed doing: the reason, for the answer. */
  | { readonly operation: null; readonly already: string };

/** What a request came to, or the operation whose end it has to wait for before it is judged again. */
type Judged = Submitted | { readonly behind: string };

/** What a request came to as far as its first unit of work; `begun` null = somebody was faster. */
interface Begun {
  readonly begun: Submitted | null;
  /** Who has the machine now. */
  readonly leaseOwner: string | null;
  /** A claim went, without an operation. */
  readonly released?: true;
}

/** More machines than fail in the time in which an instance can die between a failed Start and its erase. */
const failedAtOnce = 1_000;

const lists = new StepLists()
  .add(startFirst)
  .add(startKnown)
  .add(stop)
  .add(reboot)
  .add(plugNic)
  .add(unplugNic)
  .add(destroy)
  .add(commission)
  .add(erase);

/** All operations: asked for, arbitrated, planned, carried out, answered. The doors talk to this and own no rule. */
export class Operations {
  readonly #world: World;
  readonly #runner: Runner;
  readonly #defaultGrade: EraseGrade;
  readonly #turns = new Map<MachineId, Mutex>();
  readonly #restore: OperationsOptions['restore'];

  constructor(world: World, options: OperationsOptions) {
    this.#world = world;
    this.#defaultGrade = options.defaultGrade;
    this.#restore = options.restore;
    this.#runner = new Runner(world, lists, options.hooks);
    world.events.on('operation', (operation) => {
      const { endedAt, kind, state, machineId } = operation;
      // A machine that was started is not left dirty: nothing to look for.
      if (endedAt !== null && !(kind === 'start' && state === 'done')) this.#eraseIfLeftDirty(machineId);
    });
  }

  get active(): number {
    return this.#runner.active;
  }

  /** The erase grade of whoever names none. */
  get defaultGrade(): EraseGrade {
    return this.#defaultGrade;
  }

  /** Takes over what an earlier process left, and erases what failed Starts left. To be called once, at start. */
  async recover(): Promise<number> {
    if (this.#restore?.closed) return 0;
    // Where there are several instances, operations come with their machines.
    const taken = this.#world.instances.shared ? this.active : await this.#runner.recover();
    const machines = await this.#world.storage.run((tx) => tx.machines.list());
    for (const { id, state } of machines)
      if (state === 'failed' && this.#world.instances.machines.holds(id)) this.#eraseIfLeftDirty(id);
    return taken;
  }

  /** Machines are this instance's from now on: goes on with the operations there, and erases what failed Starts left. */
  gained(ids: readonly MachineId[], operations: readonly OperationRecord[]): void {
    if (this.#restore?.closed) return;
    for (const operation of operations) this.#runner.adopt(operation);
    const { storage, log } = this.#world;
    const ours = new Set(ids);
    storage
      .run((tx) => tx.machines.page(null, failedAtOnce, { states: ['failed'] }))
      .then(
        (failed) => {
          for (const { id } of failed) if (ours.has(id)) this.#eraseIfLeftDirty(id);
        },
        (thrown: unknown) =>
          log.warn(
            { error: asCodedError(thrown).message },
            'failed machines that were taken over were not read',
          ),
      );
  }

  /** Sees what other instances ask for. */
  async look(): Promise<void> {
    if (this.#restore?.closed) return;
    await this.#runner.look();
  }

  /** Begins nothing more; what runs ends, or comes to where another process can go on with it. */
  drain(): Promise<void> {
    return this.#runner.drain(this.#world.timings.drain);
  }

  stop(): Promise<void> {
    return this.#runner.stop();
  }

  /**
   * Asks for an operation: begins it, joins the one that is the same command, or waits its turn, as the arbitration table
   * says. Resolves once the operation is journaled.
   * @throws ServiceError when it is refused: `access.scope`, `request.forbidden`, ...
   */
  async submit(request: OperationRequest): Promise<Submitted> {
    this.#restore?.refuse();
    // In the order in which they came: a Destroy that overtakes its Start finds nothing to do, and the Start goes on.
    const first = await this.#inTurn(request.machineId, async () => {
      await this.#authorise(request);
      return this.#told(request, this.#judge(request));
    });
    let judged = first;
    while ('behind' in judged) {
      await this.#runner.ended(judged.behind);
      judged = await this.#told(request, this.#judge(request));
    }
    return judged;
  }

  /** Commands for one machine, one after the other. */
  async #inTurn<T>(machineId: MachineId, work: () => Promise<T>): Promise<T> {
    const turn = this.#turns.get(machineId) ?? new Mutex();
    this.#turns.set(machineId, turn);
    try {
      return await turn.run(work);
    } finally {
      if (turn.depth === 0) this.#turns.delete(machineId);
    }
  }

  /** Writes what came of a command into the machine's timeline. One that begins is told by its own record. */
  async #told(request: OperationRequest, judging: Promise<Judged>): Promise<Judged> {
    try {
      const judged = await judging;
      if ('behind' in judged) return judged;
      if (!judged.operation) this.#note(request, 'command', `nothing to do: ${judged.already}`, null);
      else if (judged.joined)
        this.#note(request, 'command', 'the same again: it gets the same answer', judged.operation.id);
      return judged;
    } catch (thrown) {
      this.#note(request, 'command', `refused: ${asCodedError(thrown).message}`, null);
      throw thrown;
    }
  }

  async #judge(request: OperationRequest): Promise<Judged> {
    const { storage } = this.#world;
    for (;;) {
      const { machine, active, elsewhere } = await storage.run(async (tx) => ({
        machine: await requireMachine(tx, request.machineId),
        active: await tx.journal.active(request.machineId),
        elsewhere: request.kind === 'start' ? await heldElsewhere(tx, request) : null,
      }));
      if (request.kind === 'start' && elsewhere) {
        await this.#settleElsewhere(request, elsewhere);
        continue;
      }
      if (!active) {
        const begun = await this.#begin(machine, request);
        if (begun) return begun;
        continue;
      }
      const gone = await this.#goneAlready(machine, active, request);
      if (gone !== null) return { operation: null, already: gone };
      const verdict = arbitrate({ ...active, subject: subjectOf(active) }, contender(request));
      if (verdict === 'join') return { operation: active, joined: true };
      if (verdict === 'refuse') throw await this.#busy(machine, active, request);
      if (verdict === 'cancel') await this.#cancel(active, request.requester);
      return { behind: active.id };
    }
  }

  /** Submits and waits for the end, whatever it is. */
  async perform(request: OperationRequest): Promise<OperationRecord | null> {
    const submitted = await this.submit(request);
    return submitted.operation && this.#runner.ended(submitted.operation.id);
  }

  /** Resolves with the ended operation. */
  ended(id: string): Promise<OperationRecord> {
    return this.#runner.ended(id);
  }

  /**
   * For a Destroy whose erase may outlast the caller: resolves with the operation at its end, or, once `patience` is over, as
   * soon as the tenant is gone from the network.
   */
  async endedOrReleased(id: string, patience: Duration): Promise<OperationRecord> {
    const { clock, events, storage, timings } = this.#world;
    const ended = this.#runner.ended(id);
    const timer = new AbortController();
    const impatient = clock.sleep(patience, timer.signal).then(async () => {
      for (;;) {
        const [operation, steps] = await storage.run(
          async (tx) => [await tx.journal.find(id), await tx.journal.steps(id)] as const,
        );
        if (steps.some((step) => step.name === releasedStep && step.state === 'done')) return operation!;
        // Steps that another instance carries out are not told here.
        const pause = new AbortController();
        const off = events.on('step', (step) => {
          if (step.operationId === id) pause.abort(new Error('a step was written'));
        });
        const either = AbortSignal.any([pause.signal, timer.signal]);
        await clock.sleep(timings.pollInterval, either).catch(() => undefined);
        off();
        if (timer.signal.aborted) return ended;
      }
    });
    try {
      return await Promise.race([ended, impatient]);
    } finally {
      timer.abort(new Error('answered'));
      impatient.catch(() => undefined);
    }
  }

  /**
   * Asks a running operation to stop at its next safe point and to undo itself.
   * @throws ServiceError `access.scope`, `request.forbidden`, `operation.conflict` for one that must come to its end
   */
  async cancel(id: string, requester: Asker): Promise<void> {
    await this.#cancel(await this.#operation(id, 'operation.cancel', requester), requester);
  }

  /** A Stop cancels a Start by its own right: who may stop an instance may end its Start. */
  async #cancel(operation: OperationRecord, requester: Asker): Promise<void> {
    const { storage, clock } = this.#world;
    const { id } = operation;
    if (!lists.of(operation).cancellable) {
      throw new ServiceError({
        code: 'operation.conflict',
        retry: 'never',
        what: `a ${operation.kind} cannot be cancelled: it must come to its end`,
        where: id,
      });
    }
    const request = { requester: requesterOf(requester), at: clock.now() };
    if (await storage.run((tx) => tx.journal.requestCancel(id, request))) this.#runner.cancel(id, request);
  }

  /**
   * The request that would ask for an ended operation once more.
   * @throws ServiceError when it has not ended, or ended well.
   */
  async requestOf(id: string, requester: Asker): Promise<OperationRequest> {
    const operation = await this.#operation(id, null, requester);
    if (operation.endedAt === null || operation.state === 'done') {
      throw new ServiceError({
        code: 'operation.conflict',
        retry: 'never',
        what: `operation ${id} is ${operation.state}: there is nothing to try again`,
      });
    }
    const { list, ...input } = operation.input;
    const firstDeployment = list === 'start-first';
    // What was journaled came from such a request.
    return {
      ...input,
      kind: operation.kind,
      machineId: operation.machineId,
      requester,
      firstDeployment,
    } as unknown as OperationRequest;
  }

  /** What the request would do, by the same code that would do it (law 8). Nothing is changed. */
  async plan(request: OperationRequest): Promise<readonly PlanSection[]> {
    const machine = await this.#authorise(request);
    const { input, untouched } = await this.#world.storage.run(async (tx) => ({
      ...(await this.#inputOf(tx, machine, request)),
      untouched: await untouchedClaim(tx, machine, request),
    }));
    if (untouched)
      return [{ step: 'claim', lines: [`drop the claim of ${untouched.externalId}: nothing was deployed`] }];
    const list = lists.latest(listName({ kind: request.kind, input }));
    const plan = await planOperation(this.#world, list, this.#record(machine, request, input));
    const lines = plan.flatMap(({ step, lines: told }) => told.map((line) => `${step}: ${line.trim()}`));
    this.#note(request, 'plan', `planned, nothing is done: ${lines.join('; ')}`, null);
    return plan;
  }

  /**
   * Does what a door does about a command for a machine, and tells the machine's timeline what the door answers.
   * @param said of what `work` gave, or threw: the answer, and the operation that it is about (undefined = the active one); null = it is
   *   none of the machine's
   */
  async answering<T>(
    { command, machineId, requester }: AnsweredCommand,
    work: () => Promise<T>,
    said: (outcome: { readonly value: T } | { readonly thrown: unknown }) => SaidAnswer | null,
  ): Promise<T> {
    const { clock, timeline } = this.#world;
    const began = clock.monotonic();
    const tell = (answer: SaidAnswer | null): void => {
      if (!answer) return;
      timeline.note({
        at: clock.now(),
        machineId,
        operationId: answer.operationId,
        kind: 'answer',
        text: `${command} answered: ${answer.text}`,
        took: clock.monotonic() - began,
        who: requesterOf(requester),
      });
    };
    try {
      const value = await work();
      tell(said({ value }));
      return value;
    } catch (thrown) {
      tell(said({ thrown }));
      throw thrown;
    }
  }

  #note(request: OperationRequest, kind: 'command' | 'plan', text: string, operationId: string | null): void {
    const { subject } = contender(request);
    const of = subject === request.machineId ? '' : ` of ${subject}`;
    this.#world.timeline.note({
      at: this.#world.clock.now(),
      machineId: request.machineId,
      operationId,
      kind,
      text: `${request.kind}${of} ${text}`,
      who: requesterOf(request.requester),
    });
  }

  /** Journals the operation if the machine is still free; null when somebody was faster, or it is not known whether it was stored. */
  async #begin(machine: Machine, request: OperationRequest): Promise<Submitted | null> {
    const { storage, log } = this.#world;
    const { instances } = this.#world;
    let counted = 0;
    const beginning = storage.run(async (tx): Promise<Begun> => {
      // First, because it also keeps others from claiming the machine before this is stored.
      const leaseOwner = await instances.machines.holderFor(tx, machine.id);
      if (await tx.journal.active(machine.id)) return { begun: null, leaseOwner };
      const fresh = await tx.machines.find(machine.id);
      const { input, already } = await this.#inputOf(tx, fresh ?? machine, request);
      if (already !== null) return { begun: { operation: null, already }, leaseOwner };
      const untouched = await untouchedClaim(tx, fresh ?? machine, request);
      if (untouched) {
        await endClaim(
          tx,
          machine.id,
          untouched.externalId,
          this.#world.clock.now(),
          requesterOf(request.requester),
        );
        if (fresh?.state === 'failed') await moveMachine(tx, machine.id, 'ready');
        const told = `${machine.hostname} is released: nothing was deployed`;
        return { begun: { operation: null, already: told }, leaseOwner, released: true };
      }
      const operation = { ...this.#record(machine, request, input), leaseOwner };
      await tx.journal.insert(operation);
      counted = await tx.history.advance(machine.id);
      return { begun: { operation, joined: false }, leaseOwner };
    });
    const { begun, leaseOwner, released } = await beginning.catch((thrown: unknown): Begun => {
      if (asCodedError(thrown).code !== 'store.outcome-unknown') throw thrown;
      // The journal tells: where it was stored after all, this is the same command again, which gets its answer.
      instances.machines.doubt();
      return { begun: null, leaseOwner: null };
    });
    if (leaseOwner === instances.id) instances.machines.took(machine.id);
    if (begun?.operation) {
      this.#restore?.note(machine.id, counted);
      log.info(
        {
          operation: begun.operation.id,
          kind: request.kind,
          machine: machine.hostname,
          by: request.requester.principal,
        },
        'operation begins',
      );
      if (begun.operation.leaseOwner === instances.id) {
        this.#world.events.emit('operation', begun.operation);
        this.#runner.launch(begun.operation, { isNew: true });
      }
    }
    if (released) this.#world.events.emit('machine', { machineId: machine.id });
    return begun;
  }

  #record(machine: Machine, request: OperationRequest, input: JsonObject): OperationRecord {
    const { clock, timings } = this.#world;
    const now = clock.now();
    // Only an instance's Start dies with its caller's patience: what must converge goes on for as long as its phases may take,
    // and so does what nobody waits for.
    const forUser = request.kind === 'start' && request.holder === 'user';
    const longest: Readonly<Record<OperationKind, number>> = {
      start: forUser
        ? timings.deploy + timings.startDeadline
        : Math.min(timings.startDeadline, request.wait ?? timings.startDeadline),
      stop: timings.stopDeadline,
      reboot: timings.stopDeadline,
      'plug-nic': timings.stopDeadline,
      'unplug-nic': timings.stopDeadline,
      commission: timings.commission + timings.erase + timings.destroyDeadline,
      destroy: timings.erase + timings.destroyDeadline,
      erase: timings.erase + timings.destroyDeadline,
    };
    const timeLeft = Math.max(0, Math.round(longest[request.kind] - timings.undoBudget));
    return {
      id: newSortableId('op', now),
      machineId: machine.id,
      kind: request.kind,
      listVersion: lists.latest(listName({ kind: request.kind, input })).version,
      state: 'running',
      joinKey: contender(request).joinKey,
      input,
      context: {},
      requester: requesterOf(request.requester),
      createdAt: now,
      deadlineAt: now + timeLeft,
      timeLeft,
      endedAt: null,
      cancel: null,
      error: null,
      undoError: null,
      result: null,
      leaseOwner: this.#world.instances.id,
      fence: 1,
    };
  }

  /** The journaled input, after the checks that need no device; `already` = nothing to do. */
  async #inputOf(
    tx: Tx,
    machine: Machine,
    request: OperationRequest,
  ): Promise<{ readonly input: JsonObject; readonly already: string | null }> {
    const claim = await tx.claims.find(machine.id);
    const nothing = (already: string): { input: JsonObject; already: string } => ({ input: {}, already });
    const input = (value: JsonObject): { input: JsonObject; already: null } => ({
      input: value,
      already: null,
    });
    switch (request.kind) {
      case 'start': {
        const { holder, externalId, owner, template, nics, hostname, sshKeys, userData, instanceUuid, tags } =
          request;
        if (claim && claim.externalId !== externalId) {
          throw new ServiceError({
            code: 'claim.machine-taken',
            what: `${claim.externalId} holds the machine`,
            where: machine.hostname,
          });
        }
        if (!claim && !request.firstDeployment) {
          throw new ServiceError({
            code: 'claim.unknown-instance',
            what: `${externalId} claims to have run before, but holds no machine here`,
            where: machine.hostname,
          });
        }
        // The claim decides, not the flag: a repeated first Start whose answer was lost must not install again. A user's claim
        // comes before its deployment.
        const known = holder === 'user' ? !request.firstDeployment : claim !== null;
        if (known && claim) refuseUndeployed(machine, claim);
        return input({
          ...this.#enginePhases(machine),
          list: known ? 'start-known' : 'start-first',
          ...(holder !== undefined && { holder }),
          externalId,
          owner,
          template,
          nics,
          hostname,
          sshKeys,
          userData,
          ...(instanceUuid !== undefined && { instanceUuid }),
          ...(tags !== undefined && tags.length > 0 && { tags }),
        });
      }
      case 'stop':
        if (claim?.externalId !== request.externalId)
          return nothing(`${request.externalId} does not hold ${machine.hostname}: nothing of it is there`);
        return input({ externalId: request.externalId, force: request.force });
      case 'destroy':
        if (claim?.externalId !== request.externalId)
          return nothing(`${request.externalId} does not hold ${machine.hostname}: nothing of it is there`);
        return input({
          ...this.#enginePhases(machine),
          externalId: request.externalId,
          grade: request.grade ?? this.#defaultGrade,
        });
      case 'reboot':
      case 'plug-nic':
      case 'unplug-nic': {
        const { externalId } = request;
        if (claim?.externalId !== externalId) {
          throw new ServiceError({
            code: 'claim.unknown-instance',
            what: `${externalId} does not hold the machine`,
            where: machine.hostname,
          });
        }
        refuseUndeployed(machine, claim);
        if (request.kind === 'reboot') return input({ externalId });
        const { mac, broadcastUri, defaultNic } = request;
        return input({ externalId, mac, broadcastUri, defaultNic });
      }
      case 'commission':
      case 'erase':
        if (claim)
          throw new ServiceError({
            code: 'claim.machine-taken',
            what: `${claim.externalId} holds the machine`,
            where: machine.hostname,
          });
        return input({ ...this.#enginePhases(machine), grade: request.grade });
    }
  }

  /** The phases in which the machine's engine drives its power, for the journal: they stay so until the operation ends. */
  #enginePhases({ engine }: Machine): { readonly enginePhases?: readonly DeployPhase[] } {
    let powerBy;
    try {
      ({ powerBy } = this.#world.engine(engine));
    } catch {
      // What is not configured any more is told by the step that needs it: a Destroy fences without it.
      return {};
    }
    const enginePhases = (['commission', 'deploy', 'erase'] as const).filter(
      (phase) => powerBy[phase] === 'engine',
    );
    return enginePhases.length > 0 ? { enginePhases } : {};
  }

  /**
   * A Start of an instance that another machine holds waits until that one is proven free of it, or fenced (law 2). An
   * unfinished Start over there is cancelled: CloudStack has moved on.
   */
  async #settleElsewhere(request: StartRequest, claim: Claim): Promise<void> {
    const { storage } = this.#world;
    const [active, holder] = await storage.run(
      async (tx) =>
        [await tx.journal.active(claim.machineId), await tx.machines.find(claim.machineId)] as const,
    );
    // What becomes of the instance over there is for whoever may say so.
    authoriseOn(request.requester, 'operation.start', holder, claim.machineId);
    if (active?.kind === 'start' && active.joinKey === request.externalId) {
      await this.#cancel(active, request.requester);
      await this.#runner.ended(active.id);
    }
    await storage.run(async (tx) => {
      const still = await heldElsewhere(tx, request);
      if (!still) return;
      const holder = await tx.machines.find(still.machineId);
      const fenced = holder?.quarantine?.fenced && (await isFenced(tx, holder.id));
      // Whoever has run before is refused anywhere else: its disks are there.
      if (fenced && request.firstDeployment) {
        await endTenancy(tx, { operation: still, world: this.#world });
        if (holder.state === 'deployed') await moveMachine(tx, holder.id, 'failed');
        return;
      }
      throw new ServiceError({
        code: 'claim.instance-elsewhere',
        what: `${request.externalId} holds ${holder?.hostname ?? still.machineId}, which is not proven free of it`,
      });
    });
  }

  /** A Stop or Destroy of an instance that neither holds the machine nor is being dealt with there has nothing to do. */
  async #goneAlready(
    machine: Machine,
    active: OperationRecord,
    request: OperationRequest,
  ): Promise<string | null> {
    if ((request.kind !== 'stop' && request.kind !== 'destroy') || subjectOf(active) === request.externalId)
      return null;
    const claim = await this.#world.storage.run((tx) => tx.claims.find(machine.id));
    if (claim?.externalId === request.externalId) return null;
    return `${request.externalId} does not hold ${machine.hostname}: nothing of it is there`;
  }

  async #busy(machine: Machine, active: OperationRecord, request: OperationRequest): Promise<ServiceError> {
    const steps = await this.#world.storage.run((tx) => tx.journal.steps(active.id));
    const current = steps.at(-1);
    const percent = current?.progress?.percent;
    const at = current
      ? `${current.name}${current.progress ? `: ${current.progress.activity}` : ''}${percent == null ? '' : ` ${Math.round(percent)} %`}`
      : 'beginning';
    const erasing = active.kind === 'destroy' || active.kind === 'erase';
    return new ServiceError({
      code: request.kind === 'start' && erasing ? 'operation.erasing' : 'operation.conflict',
      what: `a ${active.kind} (${active.id}) is running, at ${at}`,
      where: machine.hostname,
    });
  }

  /** A failed Start may leave a half-written disk: it is erased at once, so that the machine is ready for the next. */
  #eraseIfLeftDirty(machineId: MachineId): void {
    const { log, storage } = this.#world;
    const work = async (): Promise<void> => {
      const dirty = await storage.run(async (tx) => {
        const machine = await tx.machines.find(machineId);
        return (
          machine?.state === 'failed' &&
          machine.clean === null &&
          machine.quarantine === null &&
          !(await tx.claims.find(machineId))
        );
      });
      if (!dirty) return;
      const grade = this.#defaultGrade === 'none' ? 'quick' : this.#defaultGrade;
      await this.submit({
        kind: 'erase',
        machineId,
        grade,
        requester: {
          principal: 'csbm',
          role: 'admin',
          scope: wholeScope,
          door: 'service',
          reason: 'a failed start may have written to its disks',
        },
      });
    };
    work().catch((thrown: unknown) =>
      log.warn(
        { machine: machineId, error: asCodedError(thrown).message },
        'erase after a failed start not begun',
      ),
    );
  }

  /** By the machine as it is now: it may have been moved to another pool since it was found. */
  async #authorise(request: OperationRequest): Promise<Machine> {
    const { machineId, kind, requester } = request;
    const machine = await this.#world.storage.run((tx) => tx.machines.find(machineId));
    authoriseOn(requester, `operation.${kind}`, machine, machineId);
    const found = machine ?? (await this.#machine(machineId));
    if (actsByHolding(requester)) await this.#refuseStranger(found, request);
    return found;
  }

  /** A user commands what it holds, by the name that its claim has or will have; whether it holds it is seen when the operation begins. */
  async #refuseStranger(machine: Machine, request: OperationRequest): Promise<void> {
    const { requester } = request;
    const own =
      'externalId' in request && request.externalId === userClaimId(requester.principal, machine.id);
    if (own && (request.kind !== 'start' || request.holder === 'user')) return;
    const claim = await this.#world.storage.run((tx) => tx.claims.find(machine.id));
    refuseHidden(requester, machine, claim);
    throw new ServiceError({
      code: 'claim.not-held',
      what: `${requester.principal} does not hold the machine`,
      where: machine.hostname,
    });
  }

  /** An operation that the requester may touch; for one that does not exist as for one outside the scope. */
  async #operation(id: string, action: Action | null, requester: Asker): Promise<OperationRecord> {
    if (action !== null) authorise(requester, action);
    const [operation, machine] = await this.#world.storage.run(async (tx) => {
      const found = await tx.journal.find(id);
      return [found, found && (await tx.machines.find(found.machineId))] as const;
    });
    const scope = parseScope(requester.scope);
    const own =
      !actsByHolding(requester) ||
      (operation !== null &&
        operation.input['externalId'] === userClaimId(requester.principal, operation.machineId));
    if (operation && own && (machine ? scope.includes(machine) : scope.whole)) return operation;
    if (scope.whole)
      throw new ServiceError({ code: 'request.not-found', what: `there is no operation ${id}` });
    throw new ServiceError({
      code: 'access.scope',
      what: `the scope of ${requester.principal} (${requester.scope}) has no operation ${id}`,
    });
  }

  #machine(id: MachineId): Promise<Machine> {
    return this.#world.storage.run((tx) => requireMachine(tx, id));
  }
}

/** The claim of a Start's instance on another machine than the one asked for, or null. */
async function heldElsewhere(tx: Tx, { externalId, machineId }: StartRequest): Promise<Claim | null> {
  const claim = await tx.claims.findByExternalId(externalId);
  return claim && claim.machineId !== machineId ? claim : null;
}

/** A user's claim that a Destroy can simply drop: nothing was written to the machine since it was clean. */
async function untouchedClaim(tx: Tx, machine: Machine, request: OperationRequest): Promise<Claim | null> {
  if (request.kind !== 'destroy') return null;
  // Who asks for an erase by name gets one, whatever was proven before: so does MAAS.
  if (request.grade !== undefined && request.grade !== 'none') return null;
  const claim = await tx.claims.find(machine.id);
  if (claim?.holder !== 'user' || claim.externalId !== request.externalId || !machine.clean) return null;
  const failed = machine.state === 'failed' && machine.quarantine === null;
  return machine.state === 'ready' || failed ? claim : null;
}

/** A user's claim comes before its deployment: until then there is nothing that could run. */
function refuseUndeployed(machine: Machine, claim: Claim): void {
  if (claim.holder !== 'user' || machine.state === 'deployed') return;
  throw new ServiceError({
    code: 'machine.state',
    retry: 'never',
    what: `nothing is deployed on the machine: it is ${machine.state}`,
    where: machine.hostname,
    remedy: 'deploy it first',
  });
}

/** A request as arbitration sees it. */
function contender(request: OperationRequest): Contender {
  const subject = 'externalId' in request ? request.externalId : request.machineId;
  const nic = 'broadcastUri' in request ? ` ${request.mac} ${request.broadcastUri ?? ''}` : '';
  return { kind: request.kind, subject, joinKey: `${subject}${nic}` };
}
