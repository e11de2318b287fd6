import type { JsonObject } from '../../../plugin-api/index.ts';
import type { MachineId } from '../../core/machine/machine.ts';
import type { OperationRecord, OperationState, StepRecord } from '../../core/storage/journal-records.ts';
import type { JournalStore, OperationFilter } from '../../core/storage/storage.ts';
import { ServiceError } from '../../kernel/errors/service-error.ts';
import type { OperationRow } from '../schema/journal.ts';
import type { Sealer } from '../secrets/sealer.ts';
import { inSteps } from './in-steps.ts';
import type { Session } from '../session.ts';
import { notNull } from '../table.ts';
import type { Tables } from '../tables.ts';

const activeStates: ReadonlySet<OperationState> = new Set<OperationState>(['running', 'undoing']);
const defaultLimit = 100;

/** What steps found out, as it was sealed: most writes of an operation carry it unchanged. */
const sealedContexts = new WeakMap<
  JsonObject,
  { readonly by: Sealer; readonly id: string; readonly envelope: string }
>();

export class SqlJournalStore implements JournalStore {
  readonly #tables: Tables;
  readonly #session: Session;
  readonly #sealer: Sealer;

  constructor(tables: Tables, session: Session, sealer: Sealer) {
    this.#tables = tables;
    this.#session = session;
    this.#sealer = sealer;
  }

  async find(id: string): Promise<OperationRecord | null> {
    const row = await this.#tables.operation.find(this.#session, { id });
    return row && this.#toRecord(row);
  }

  async active(machineId: MachineId): Promise<OperationRecord | null> {
    const row = await this.#tables.operation.find(this.#session, { activeMachineId: machineId });
    return row && this.#toRecord(row);
  }

  async activeOfMachines(machineIds: readonly MachineId[]): Promise<readonly OperationRecord[]> {
    const where = { activeMachineId: inSteps(machineIds) };
    return (await this.#tables.operation.select(this.#session, where)).map((row) => this.#toRecord(row));
  }

  async listActive(): Promise<readonly OperationRecord[]> {
    const order = { createdAt: 'ASC', id: 'ASC' } as const;
    const rows = await this.#tables.operation.select(this.#session, { activeMachineId: notNull }, { order });
    return rows.map((row) => this.#toRecord(row));
  }

  async list(filter: OperationFilter): Promise<readonly OperationRecord[]> {
    const rows = await this.#tables.operation.select(
      this.#session,
      {
        ...(filter.machineId !== undefined && { machineId: filter.machineId }),
        ...(filter.machineIds !== undefined && { machineId: inSteps(filter.machineIds) }),
        ...(filter.kind !== undefined && { kind: filter.kind }),
        ...(filter.states !== undefined && { state: filter.states }),
      },
      {
        order: { createdAt: 'DESC', id: 'DESC' },
        limit: filter.limit ?? defaultLimit,
        ...(filter.createdBefore !== undefined && { below: { createdAt: filter.createdBefore } }),
      },
    );
    return rows.map((row) => this.#toRecord(row));
  }

  async insert(operation: OperationRecord): Promise<void> {
    const { id, cancel, leaseOwner, fence } = operation;
    const input = this.#sealer.seal(JSON.stringify(operation.input), placeOf(id, 'input'));
    const { machineId, kind, listVersion, joinKey, requester, createdAt, deadlineAt } = operation;
    const row: OperationRow = {
      id,
      machineId,
      kind,
      listVersion,
      joinKey,
      requester,
      createdAt,
      deadlineAt,
      ...this.#changingColumns(operation),
      input,
      cancel,
      leaseOwner,
      fence,
    };
    await this.#tables.operation.insert(this.#session, [row]);
  }

  async update(operation: OperationRecord): Promise<void> {
    const { id, fence } = operation;
    const where = { id, fence };
    const affected = await this.#tables.operation.update(
      this.#session,
      this.#changingColumns(operation),
      where,
    );
    if (affected !== 1) {
      throw new ServiceError({
        code: 'operation.lease-lost',
        what: `the operation is no longer held under fence ${fence}`,
        where: `operation ${id}`,
      });
    }
  }

  async requestCancel(id: string, cancel: NonNullable<OperationRecord['cancel']>): Promise<boolean> {
    const where = { id, activeMachineId: notNull, cancel: null } as const;
    return (await this.#tables.operation.update(this.#session, { cancel }, where)) === 1;
  }

  /** Only an active operation can be taken: one that ended after the caller saw it must not begin again. */
  async takeLease(id: string, owner: string, fence: number): Promise<OperationRecord | null> {
    const affected = await this.#tables.operation.update(
      this.#session,
      { leaseOwner: owner, fence: fence + 1 },
      { id, fence, activeMachineId: notNull },
    );
    return affected === 1 ? this.find(id) : null;
  }

  async heldBy(
    owner: string,
  ): Promise<readonly Pick<OperationRecord, 'id' | 'machineId' | 'fence' | 'cancel'>[]> {
    const where = { leaseOwner: owner, activeMachineId: notNull } as const;
    const rows = await this.#tables.operation.select(this.#session, where);
    return rows.map(({ id, machineId, fence, cancel }) => ({
      id,
      machineId: machineId as MachineId,
      fence,
      cancel,
    }));
  }

  async ended(ids: readonly string[]): Promise<readonly string[]> {
    if (ids.length === 0) return [];
    const where = { id: inSteps(ids), activeMachineId: null };
    return (await this.#tables.operation.select(this.#session, where)).map(({ id }) => id);
  }

  async steps(operationId: string): Promise<readonly StepRecord[]> {
    return this.#tables.step.select(this.#session, { operationId }, { order: { seq: 'ASC' } });
  }

  async stepsOf(operationIds: readonly string[]): Promise<readonly StepRecord[]> {
    const where = { operationId: inSteps(operationIds) };
    const order = { operationId: 'ASC', seq: 'ASC' } as const;
    return this.#tables.step.select(this.#session, where, { order });
  }

  async activeIds(machineIds: readonly MachineId[]): Promise<ReadonlyMap<MachineId, string>> {
    const where = { activeMachineId: inSteps(machineIds) };
    const rows = await this.#tables.operation.select(this.#session, where);
    return new Map(rows.map((row) => [row.machineId as MachineId, row.id]));
  }

  async putStep(step: StepRecord): Promise<void> {
    await this.#tables.step.put(this.#session, step);
  }

  /** What changes while it is carried out, but for lease and cancel request. */
  #changingColumns(
    operation: OperationRecord,
  ): Pick<
    OperationRow,
    'activeMachineId' | 'state' | 'context' | 'timeLeft' | 'endedAt' | 'error' | 'undoError' | 'result'
  > {
    const { id, machineId, state } = operation;
    return {
      activeMachineId: activeStates.has(state) ? machineId : null,
      state,
      context: this.#sealedContext(id, operation.context),
      timeLeft: operation.timeLeft,
      endedAt: operation.endedAt,
      error: operation.error,
      undoError: operation.undoError,
      result: operation.result,
    };
  }

  #sealedContext(id: string, context: JsonObject): string {
    const sealed = sealedContexts.get(context);
    if (sealed?.by === this.#sealer && sealed.id === id) return sealed.envelope;
    const envelope = this.#sealer.seal(JSON.stringify(context), placeOf(id, 'context'));
    sealedContexts.set(context, { by: this.#sealer, id, envelope });
    return envelope;
  }

  #toRecord(row: OperationRow): OperationRecord {
    return {
      id: row.id,
      machineId: row.machineId as MachineId,
      kind: row.kind,
      listVersion: row.listVersion,
      state: row.state,
      joinKey: row.joinKey,
      input: JSON.parse(this.#sealer.open(row.input, placeOf(row.id, 'input'))) as JsonObject,
      context: JSON.parse(this.#sealer.open(row.context, placeOf(row.id, 'context'))) as JsonObject,
      requester: row.requester,
      createdAt: row.createdAt,
      deadlineAt: row.deadlineAt,
      timeLeft: row.timeLeft,
      endedAt: row.endedAt,
      cancel: row.cancel,
      error: row.error,
      undoError: row.undoError,
      result: row.result,
      leaseOwner: row.leaseOwner,
      fence: row.fence,
    };
  }
}

const placeOf = (id: string, field: string) => ({ table: 'operation', row: id, field });
