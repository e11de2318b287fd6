import type { Evidence, NicPlan } from '../../../plugin-api/index.ts';
import type { Claim } from '../../core/claim/claim.ts';
import type { Deployment, TenantNetwork } from '../../core/claim/deployment.ts';
import {
  bigint,
  flag,
  foreignKey,
  index,
  int,
  json,
  key,
  nullable,
  renamed,
  string,
  table,
  text,
  unique,
} from './columns.ts';

export interface ClaimRow {
  machineId: string;
  holder: Claim['holder'];
  externalId: string;
  owner: string;
  instanceUuid: string | null;
  since: number;
  version: number;
}

export interface GoneClaimRow {
  machineId: string;
  externalId: string;
  claimedAt: number;
  rounds: number;
  since: number;
  told: boolean;
}

export interface DeploymentRow {
  id: string;
  machineId: string;
  /** The machine's id until the deployment ends, then null: its unique index allows one that has not ended per machine. */
  currentMachineId: string | null;
  externalId: string;
  image: string;
  nicPlan: NicPlan;
  /** Sealed JSON: user data may hold secrets of the tenant. */
  firstBoot: string;
  network: TenantNetwork;
  state: Deployment['state'];
  evidence: Evidence | null;
  createdAt: number;
  endedAt: number | null;
  version: number;
}

/** One claim per machine (the key) and one machine per external id (the unique index). */
export const claimSchema = table<ClaimRow>({
  name: 'claim',
  columns: {
    machineId: key(renamed('machine_id', string(36))),
    holder: string(16),
    externalId: renamed('external_id', string(255)),
    owner: string(255),
    instanceUuid: nullable(renamed('instance_uuid', string(36))),
    since: bigint(),
    version: int(),
  },
  indices: [unique('ux_claim_external_id', 'externalId')],
  foreignKeys: [foreignKey('fk_claim_machine', ['machineId'], 'machine', ['id'], 'RESTRICT')],
});

/** No foreign key to the claim: ending one costs nothing more, and a row is about the claim that it names only. */
export const goneClaimSchema = table<GoneClaimRow>({
  name: 'gone_claim',
  columns: {
    machineId: key(renamed('machine_id', string(36))),
    externalId: renamed('external_id', string(255)),
    claimedAt: renamed('claimed_at', bigint()),
    rounds: int(),
    since: bigint(),
    told: flag(),
  },
});

/** No foreign key to the machine: the record outlives it. */
export const deploymentSchema = table<DeploymentRow>({
  name: 'deployment',
  columns: {
    id: key(string(64)),
    machineId: renamed('machine_id', string(36)),
    currentMachineId: nullable(renamed('current_machine_id', string(36))),
    externalId: renamed('external_id', string(255)),
    image: string(128),
    nicPlan: renamed('nic_plan', json()),
    firstBoot: renamed('first_boot', text()),
    network: json(),
    state: string(16),
    evidence: nullable(json()),
    createdAt: renamed('created_at', bigint()),
    endedAt: nullable(renamed('ended_at', bigint())),
    version: int(),
  },
  indices: [
    unique('ux_deployment_current', 'currentMachineId'),
    index('ix_deployment_machine', 'machineId', 'createdAt'),
  ],
});
