import type { JsonObject } from '../../../plugin-api/index.ts';
import type { PrincipalRecord } from '../../core/access/principal.ts';
import type { Claim } from '../../core/claim/claim.ts';
import type { Deployment } from '../../core/claim/deployment.ts';
import type { Machine } from '../../core/machine/machine.ts';
import type { PortRecord } from '../../core/network/port-state.ts';
import type { Withholding } from '../../core/quarantine/quarantine.ts';
import type { Switch } from '../../core/rack/wiring.ts';
import type { OperationRecord, StepRecord } from '../../core/storage/journal-records.ts';

/** What the admin API shows of things: never a secret, and never a tenant's user data. */

export function machineView(
  machine: Machine,
  claim: Claim | null,
  deployment: Deployment | null,
  active: OperationRecord | null,
  withheld: Withholding | null,
): JsonObject {
  const { bmc, clean, nics, disks, ...rest } = machine;
  return {
    ...rest,
    cloudPlace: rest.cloudPlace && { ...rest.cloudPlace },
    quarantine: rest.quarantine && { ...rest.quarantine },
    power: rest.power && { ...rest.power },
    bmc: bmc && {
      driver: bmc.driver,
      host: bmc.host,
      port: bmc.port,
      username: bmc.username,
      minSuite: bmc.minSuite,
      knownSuite: bmc.knownSuite,
    },
    clean: clean && {
      grade: clean.grade,
      at: clean.at,
      summary: clean.evidence.summary,
      verified: clean.evidence.verified,
    },
    nics: nics.map((nic) => ({ ...nic })),
    disks: disks.map((disk) => ({ ...disk })),
    claim: claim && {
      holder: claim.holder,
      externalId: claim.externalId,
      owner: claim.owner,
      since: claim.since,
    },
    deployment: deployment && {
      id: deployment.id,
      image: deployment.image,
      state: deployment.state,
      native: deployment.network.native,
      tagged: deployment.network.tagged,
      nicPlan: deployment.nicPlan.map((entry) => ({ ...entry })),
    },
    operation: active && { id: active.id, kind: active.kind, state: active.state },
    withheld: withheld && { ...withheld },
  };
}

export function operationView(operation: OperationRecord): JsonObject {
  const {
    id,
    machineId,
    kind,
    state,
    joinKey,
    requester,
    createdAt,
    deadlineAt,
    endedAt,
    cancel,
    error,
    undoError,
  } = operation;
  return {
    id,
    machineId,
    kind,
    state,
    subject: joinKey,
    requester: { ...requester },
    createdAt,
    deadlineAt,
    endedAt,
    cancelledBy: cancel && { ...cancel.requester },
    error: error && { ...error },
    undoError: undoError && { ...undoError },
  };
}

export function stepView(step: StepRecord): JsonObject {
  const { seq, name, direction, attempt, state, startedAt, endedAt, progress, evidence, error } = step;
  return {
    seq,
    name,
    direction,
    attempt,
    state,
    startedAt,
    endedAt,
    progress: progress && { ...progress },
    evidence: evidence && { ...evidence },
    error: error && { ...error },
  };
}

export function portView(port: PortRecord): JsonObject {
  const {
    switch: name,
    port: id,
    machineId,
    purpose,
    desired,
    desiredVersion,
    observed,
    observedVersion,
    observedAt,
  } = port;
  return {
    switch: name,
    port: id,
    machineId,
    purpose,
    desired: { ...desired },
    observed: observed && { ...observed },
    settled: desiredVersion === observedVersion,
    observedAt,
  };
}

export function switchView(at: Switch): JsonObject {
  const {
    name,
    type,
    transport,
    host,
    tcpPort,
    username,
    fabric,
    uplinks,
    provisioning,
    park,
    defaultVlan,
    unsavedSince,
    hostKeyPin,
    legacyCrypto,
  } = at;
  return {
    name,
    type,
    transport,
    host,
    tcpPort,
    username,
    fabric,
    uplinks,
    provisioning,
    park,
    defaultVlan,
    unsavedSince,
    hostKeyPin,
    legacyCrypto,
  };
}

export function principalView(principal: PrincipalRecord): JsonObject {
  const { name, role, scope, createdAt, revokedAt, expiresAt, lastUsedAt, email, passwordHash } = principal;
  const hasPassword = passwordHash !== null;
  return { name, role, scope, createdAt, revokedAt, expiresAt, lastUsedAt, email, hasPassword };
}
