import type { JsonObject, Mac, PortId, VlanId } from '../../../plugin-api/index.ts';
import type { ApiKey } from '../access/api-key.ts';
import type { PrincipalRecord } from '../access/principal.ts';
import type { MachinePlace } from '../access/scope.ts';
import type { Claim, GoneClaim } from '../claim/claim.ts';
import type { Deployment, ShownDeployment } from '../claim/deployment.ts';
import type { Image } from '../image/image.ts';
import type { Machine, MachineId, MachineState, ShownMachine } from '../machine/machine.ts';
import type { Pool } from '../machine/pool.ts';
import type { MachineProfile } from '../machine/profile.ts';
import type { PortRecord, TenantPort } from '../network/port-state.ts';
import type { QuarantineRecord, Subject, TroubleRecord } from '../quarantine/quarantine.ts';
import type { FabricSwitch, PortPlace, Switch, Wire } from '../rack/wiring.ts';
import type { BootRecord } from './boot-record.ts';
import type {
  InstanceRecord,
  LeaseKind,
  LeaseRecord,
  LivingInstance,
  DeviceRequest,
} from './instance-records.ts';
import type { HistoryStore } from './history-records.ts';
import type { OperationKind, OperationRecord, OperationState, StepRecord } from './journal-records.ts';
import type { RecordKind, StoredRecord } from './stored-record.ts';
import type { RetentionStore, TimelineStore } from './timeline.ts';

/**
 * The interfaces that the rules need from storage. Only `Storage.run` can make a `Tx`, so nothing is read or written outside
 * a unit of work. Every `update` is a compare-and-set on `version` (or fence): it rejects with `store.conflict` when
 * somebody else was faster, and returns the record as stored. Nothing slow may happen inside a unit of work.
 */
export interface Storage {
  /**
   * Runs `work` in one transaction: all of it or nothing. Nested calls join the outer one. Where the database serves others
   * too, it may refuse a run for their sake, and `work` runs again as if the earlier run had never been: it changes nothing
   * outside of `tx` that a later run does not set anew.
   * @throws what `work` throws; ServiceError `store.unavailable`, `store.outcome-unknown`
   */
  run<T>(work: (tx: Tx) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

export interface Tx {
  readonly machines: MachineStore;
  readonly claims: ClaimStore;
  readonly deployments: DeploymentStore;
  readonly racks: RackStore;
  readonly ports: PortStore;
  readonly images: ImageStore;
  readonly journal: JournalStore;
  readonly boots: BootStore;
  readonly principals: PrincipalStore;
  readonly alarms: AlarmStore;
  readonly quarantines: QuarantineStore;
  readonly profiles: ProfileStore;
  readonly pools: PoolStore;
  readonly apiKeys: ApiKeyStore;
  readonly records: RecordStore;
  readonly timeline: TimelineStore;
  readonly retention: RetentionStore;
  readonly history: HistoryStore;
  readonly instances: InstanceStore;
  readonly leases: LeaseStore;
  readonly deviceRequests: DeviceRequestStore;
}

/** Machines that fit every condition given. */
export interface MachineFilter {
  readonly pools?: readonly string[];
  readonly states?: readonly MachineState[];
  readonly architectures?: readonly string[];
}

export interface MachineStore {
  find(id: MachineId): Promise<Machine | null>;
  findByHostname(hostname: string): Promise<Machine | null>;
  findByMac(mac: Mac): Promise<Machine | null>;
  findByBmc(host: string, port: number): Promise<Machine | null>;
  /** Whether a machine is withheld from new claims, null where there is none: one query, and no secret is opened for it. */
  isWithheld(id: MachineId): Promise<boolean | null>;
  /** All machines, in order of hostname; two queries whatever their number. */
  list(): Promise<readonly Machine[]>;
  /** The next machines in order of hostname, after `after`: three queries whatever their number, and no secret is opened. */
  page(after: string | null, limit: number, filter?: MachineFilter): Promise<readonly ShownMachine[]>;
  /** Machines by id, as `page` gives them, in order of hostname. */
  shown(ids: readonly MachineId[]): Promise<readonly ShownMachine[]>;
  /** Ids of the machines of these names, where there are such: one query. */
  idsOfHostnames(hostnames: readonly string[]): Promise<readonly MachineId[]>;
  /** Ids of the machines with NICs of these MACs: one query. */
  idsOfMacs(macs: readonly Mac[]): Promise<readonly MachineId[]>;
  /** Where every machine stands, for scopes: one query, and no secret is opened for it. */
  places(): Promise<readonly (MachinePlace & { readonly id: MachineId })[]>;
  insert(machine: Machine): Promise<void>;
  update(machine: Machine): Promise<Machine>;
  delete(id: MachineId, version: number): Promise<void>;
}

export interface ClaimStore {
  find(machineId: MachineId): Promise<Claim | null>;
  findByExternalId(externalId: string): Promise<Claim | null>;
  list(): Promise<readonly Claim[]>;
  ofMachines(machineIds: readonly MachineId[]): Promise<readonly Claim[]>;
  /** All of these kinds of holders. */
  ofHolders(holders: readonly Claim['holder'][]): Promise<readonly Claim[]>;
  /** @throws `store.conflict` when the machine is claimed or the external id holds another machine. */
  insert(claim: Claim): Promise<void>;
  /** Sets the UUID of the claim's instance where it is not known yet; a claim that is gone or knows it is left alone. */
  learnInstanceUuid(machineId: MachineId, externalId: string, instanceUuid: string): Promise<void>;
  delete(machineId: MachineId, externalId: string): Promise<void>;
  /** Those whose instance was not known the last time that its cloud was asked. */
  gone(): Promise<readonly GoneClaim[]>;
  /** Inserts the record of its machine, or overwrites it. */
  putGone(record: GoneClaim): Promise<void>;
  forgetGone(machineIds: readonly MachineId[]): Promise<void>;
}

export interface DeploymentStore {
  /** The machine's deployment that has not ended, if any. */
  current(machineId: MachineId): Promise<Deployment | null>;
  find(id: string): Promise<Deployment | null>;
  /** All that have not ended. */
  listCurrent(): Promise<readonly Deployment[]>;
  /** Those of these machines that have not ended; nothing sealed is opened for it. */
  currentOfMachines(machineIds: readonly MachineId[]): Promise<readonly ShownDeployment[]>;
  insert(deployment: Deployment): Promise<void>;
  update(deployment: Deployment): Promise<Deployment>;
}

export interface RackStore {
  switches(): Promise<readonly Switch[]>;
  /** Those of these names, in the order of the rack config. */
  switchesOf(names: readonly string[]): Promise<readonly Switch[]>;
  /** All of the fabric, in no order; nothing sealed is opened for it. */
  ofFabric(fabric: string): Promise<readonly FabricSwitch[]>;
  findSwitch(name: string): Promise<Switch | null>;
  wires(): Promise<readonly Wire[]>;
  /** Those that end at these MACs, in the order of the rack config. */
  wiresOf(macs: readonly Mac[]): Promise<readonly Wire[]>;
  /** The text last uploaded, as it was given, or null. Its secrets are encrypted at rest with it. */
  configText(): Promise<string | null>;
  /** Replaces text, switches and wires together. */
  replace(text: string, switches: readonly Switch[], wires: readonly Wire[]): Promise<void>;
  updateSwitch(record: Switch): Promise<Switch>;
}

export interface PortStore {
  find(switchName: string, port: PortId): Promise<PortRecord | null>;
  ofSwitch(switchName: string): Promise<readonly PortRecord[]>;
  ofMachine(machineId: MachineId): Promise<readonly PortRecord[]>;
  /** Of one switch, those of these ports that are recorded. */
  ofPorts(switchName: string, ports: readonly PortId[]): Promise<readonly PortRecord[]>;
  /** What is wanted of the ports of these switches that tenants have. */
  tenantPorts(switches: readonly string[]): Promise<readonly TenantPort[]>;
  /** VLANs of tenants that are wanted anywhere on the fabric, save on the given ports; each once, in no order. */
  tenantVlans(fabric: string, except?: readonly PortPlace[]): Promise<readonly VlanId[]>;
  list(): Promise<readonly PortRecord[]>;
  /** Sets the desired state; a change of state or purpose gives the next `desiredVersion`. Returns the record as stored. */
  desire(
    record: Pick<PortRecord, 'switch' | 'port' | 'machineId' | 'purpose' | 'desired'>,
  ): Promise<PortRecord>;
  /** Records a reading: `observedVersion` never goes back. */
  observe(
    record: Pick<PortRecord, 'switch' | 'port' | 'observed' | 'observedVersion' | 'observedAt'>,
  ): Promise<void>;
  delete(switchName: string, port: PortId): Promise<void>;
}

export interface ImageStore {
  find(name: string): Promise<Image | null>;
  list(): Promise<readonly Image[]>;
  insert(image: Image): Promise<void>;
  delete(name: string): Promise<void>;
}

export interface OperationFilter {
  readonly machineId?: MachineId;
  /** Only of these machines. */
  readonly machineIds?: readonly MachineId[];
  readonly kind?: OperationKind;
  readonly states?: readonly OperationState[];
  /** Only those that were created before; epoch milliseconds. */
  readonly createdBefore?: number;
  /** Newest first, at most this many (default 100). */
  readonly limit?: number;
}

export interface JournalStore {
  find(id: string): Promise<OperationRecord | null>;
  /** The operation that is active on the machine, if any: there is at most one (law 2). */
  active(machineId: MachineId): Promise<OperationRecord | null>;
  activeOfMachines(machineIds: readonly MachineId[]): Promise<readonly OperationRecord[]>;
  /** Every active operation: for recovery. */
  listActive(): Promise<readonly OperationRecord[]>;
  list(filter: OperationFilter): Promise<readonly OperationRecord[]>;
  /** @throws `store.conflict` when another operation is active on the machine. */
  insert(operation: OperationRecord): Promise<void>;
  /** Writes everything but the lease and the cancel request, if the fence is still `operation.fence`. @throws `operation.lease-lost` */
  update(operation: OperationRecord): Promise<void>;
  /** Asks for cancellation: anyone may, the holder sees it. False when the operation is no longer active or already asked. */
  requestCancel(id: string, cancel: NonNullable<OperationRecord['cancel']>): Promise<boolean>;
  /** Takes the lease if the fence is still `fence`: fence + 1. Null when somebody else was faster. */
  takeLease(id: string, owner: string, fence: number): Promise<OperationRecord | null>;
  /** The active operations that this instance is to carry out: as little of each as it takes to see whether it does. */
  heldBy(owner: string): Promise<readonly Pick<OperationRecord, 'id' | 'machineId' | 'fence' | 'cancel'>[]>;
  /** Those of these operations that have ended. */
  ended(ids: readonly string[]): Promise<readonly string[]>;
  steps(operationId: string): Promise<readonly StepRecord[]>;
  /** The steps of all of these, in one query. */
  stepsOf(operationIds: readonly string[]): Promise<readonly StepRecord[]>;
  /** Which operation is active on each of these machines; nothing sealed is opened for it. */
  activeIds(machineIds: readonly MachineId[]): Promise<ReadonlyMap<MachineId, string>>;
  /** Inserts the step or rewrites the one of the same operation and seq. */
  putStep(step: StepRecord): Promise<void>;
}

export interface BootStore {
  find(orderId: string): Promise<BootRecord | null>;
  /** The conversation of this MAC that is not over (state placed, armed, asked, running, contested), if any. */
  findOpenByMac(mac: Mac): Promise<BootRecord | null>;
  findByTokenHash(tokenHash: string): Promise<BootRecord | null>;
  insert(record: BootRecord): Promise<void>;
  update(record: BootRecord): Promise<BootRecord>;
}

export interface PrincipalStore {
  findByName(name: string): Promise<PrincipalRecord | null>;
  findByTokenHash(tokenHash: string): Promise<PrincipalRecord | null>;
  list(): Promise<readonly PrincipalRecord[]>;
  insert(principal: PrincipalRecord): Promise<void>;
  /** Revokes for good; false when there is none or it is revoked already. */
  revoke(name: string, at: number): Promise<boolean>;
  /** Makes a revoked principal anew, with nothing of what it was; false when there is none or it is not revoked. */
  reinstate(principal: PrincipalRecord): Promise<boolean>;
  /** Another token instead of the one it has, with its own end; false when there is none or it is revoked. */
  replaceToken(name: string, tokenHash: string, expiresAt: number | null): Promise<boolean>;
  /** Notes a recent use. */
  used(name: string, at: number): Promise<void>;
  /** Changes what a person may change; null for what stays. False when there is none or it is revoked. */
  describe(
    name: string,
    change: Partial<Pick<PrincipalRecord, 'role' | 'scope' | 'email' | 'passwordHash'>>,
  ): Promise<boolean>;
}

/** What is said about machines. A machine that nobody spoke about has none: `emptyProfile`. */
export interface ProfileStore {
  find(machineId: MachineId): Promise<MachineProfile | null>;
  ofMachines(machineIds: readonly MachineId[]): Promise<readonly MachineProfile[]>;
  list(): Promise<readonly MachineProfile[]>;
  /** Inserts a profile of version 0, updates any other. */
  save(profile: MachineProfile): Promise<MachineProfile>;
}

/** Pools that were described; a machine may be in one that never was (`defaultPoolRules`). */
export interface PoolStore {
  find(name: string): Promise<Pool | null>;
  findById(id: number): Promise<Pool | null>;
  /** In order of number. */
  list(): Promise<readonly Pool[]>;
  insert(pool: Omit<Pool, 'id' | 'version'>): Promise<Pool>;
  update(pool: Pool): Promise<Pool>;
  delete(name: string): Promise<void>;
}

export interface ApiKeyStore {
  find(tokenKey: string): Promise<ApiKey | null>;
  /** The oldest first. */
  ofPrincipal(principal: string): Promise<readonly ApiKey[]>;
  insert(key: ApiKey): Promise<void>;
  rename(tokenKey: string, name: string): Promise<boolean>;
  /** Revokes: the key is gone. */
  delete(tokenKey: string): Promise<boolean>;
  /** Remembers a nonce of a key; false when it was used before. */
  takeNonce(tokenKey: string, nonce: string, at: number): Promise<boolean>;
  /** Forgets nonces from before. */
  forgetNonces(before: number): Promise<void>;
}

/** What MAAS clients make, name and number. */
export interface RecordStore {
  find(kind: RecordKind, id: number): Promise<StoredRecord | null>;
  findByName(kind: RecordKind, name: string): Promise<StoredRecord | null>;
  /** In order of number; only those of one owner, where it is given. */
  list(kind: RecordKind, owner?: string): Promise<readonly StoredRecord[]>;
  /** Every record of these kinds, in order of number: one query. */
  ofKinds(kinds: readonly RecordKind[]): Promise<readonly StoredRecord[]>;
  /** @throws `store.conflict` when another record of the kind has the name. */
  insert(record: Pick<StoredRecord, 'kind' | 'name' | 'owner' | 'body'>): Promise<StoredRecord>;
  update(record: StoredRecord): Promise<StoredRecord>;
  delete(kind: RecordKind, id: number): Promise<boolean>;
}

/** Why machines, ports, switches and BMCs are and were withheld: a row for each reason of each subject. */
export interface QuarantineStore {
  /** Also those that were lifted, the latest first. */
  list(): Promise<readonly QuarantineRecord[]>;
  /** Those that are not lifted, the oldest first. */
  active(): Promise<readonly QuarantineRecord[]>;
  /** Also those that were lifted, the latest first. */
  ofSubject(subject: Subject): Promise<readonly QuarantineRecord[]>;
  /** The same, and nobody else changes them until the end of the unit. */
  forChange(subject: Subject): Promise<readonly QuarantineRecord[]>;
  /** Inserts the row of its subject and code, or overwrites it. */
  put(record: QuarantineRecord): Promise<void>;
  /** For a subject that is gone for good, with what was counted of it. */
  forget(subject: Subject): Promise<void>;
  /** What failed the last time. */
  troubles(): Promise<readonly TroubleRecord[]>;
  /** That of one subject, and nobody else changes it until the end of the unit. */
  troubleForChange(subject: Subject): Promise<TroubleRecord | null>;
  /** Inserts that of its subject, or overwrites it. */
  putTrouble(record: TroubleRecord): Promise<void>;
  forgetTrouble(subject: Subject): Promise<void>;
}

/** Something a person should look at. */
export interface Alarm {
  readonly id: string;
  readonly at: number;
  readonly code: string;
  readonly machineId: MachineId | null;
  readonly text: string;
}

export interface AlarmStore {
  /** Newest first; only of these machines and from before that moment, where they are given. */
  list(limit: number, machineIds?: readonly MachineId[], before?: number): Promise<readonly Alarm[]>;
  insert(alarm: Alarm): Promise<void>;
}

/** Who is on the database. Instances end once, and are never alive again. */
export interface InstanceStore {
  find(id: string): Promise<InstanceRecord | null>;
  /** In order of their starts, also those that are gone. */
  list(): Promise<readonly InstanceRecord[]>;
  living(): Promise<readonly LivingInstance[]>;
  insert(instance: InstanceRecord): Promise<void>;
  /** Where its admin API is reached. */
  announce(id: string, adminUrl: string): Promise<void>;
  /** Counts its beat up; false when it is gone. */
  beat(id: string): Promise<boolean>;
  /** From alive to draining; false when it is not alive. */
  drain(id: string): Promise<boolean>;
  /**
   * Declares it gone, if it still is not; where a beat is given, only if it has not beaten since. False = it is gone already, or
   * has beaten: then the unit of work must not commit.
   */
  end(id: string, beat: number | null, endedAt: number, reason: string): Promise<boolean>;
  /** Drops what ended before that time; gives how many. */
  forget(before: number): Promise<number>;
}

/** Who has what to itself. A lease is never taken from an instance that is not gone: it is given back, or freed at its end. */
export interface LeaseStore {
  /** @param options.lock nobody else changes it until the end of the unit */
  find(name: string, options?: { readonly lock?: boolean }): Promise<LeaseRecord | null>;
  ofKind(kind: LeaseKind): Promise<readonly LeaseRecord[]>;
  /** Those that nobody has. */
  free(kind: LeaseKind): Promise<readonly LeaseRecord[]>;
  /** @throws `store.conflict` when one is there already */
  insert(leases: readonly LeaseRecord[]): Promise<void>;
  /** Takes those of these that are free; gives them as they were. */
  take(names: readonly string[], owner: string): Promise<readonly LeaseRecord[]>;
  /** Gives back, in order: nothing is under way any more. */
  release(names: readonly string[], owner: string): Promise<number>;
  /** Frees all that an instance has at its end. */
  releaseAll(owner: string, lost: boolean): Promise<number>;
  /** Tells the owner that what the lease is about has changed. */
  note(name: string): Promise<void>;
  /** The owner's machines that somebody left a note for. */
  noted(owner: string): Promise<readonly LeaseRecord[]>;
  /** The note was heeded, unless another one came. */
  heard(lease: Pick<LeaseRecord, 'name' | 'notes'>): Promise<void>;
  delete(names: readonly string[]): Promise<void>;
}

/** What instances ask of the holder of a device. Who asks deletes it. */
export interface DeviceRequestStore {
  /** What waits, for whichever device; the oldest first. */
  waiting(): Promise<readonly DeviceRequest[]>;
  over(ids: readonly string[]): Promise<readonly DeviceRequest[]>;
  insert(request: DeviceRequest): Promise<void>;
  end(id: string, outcome: JsonObject): Promise<void>;
  delete(id: string): Promise<void>;
  deleteOf(instanceId: string): Promise<void>;
}
