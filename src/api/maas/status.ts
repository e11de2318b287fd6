import type { Claim } from '../../core/claim/claim.ts';
import type { Deployment } from '../../core/claim/deployment.ts';
import type { MachineState, ShownMachine } from '../../core/machine/machine.ts';
import { describeWithholding, type Withholding } from '../../core/quarantine/quarantine.ts';
import type { OperationRecord } from '../../core/storage/journal-records.ts';
import type { MaasUser } from './handler.ts';
import { failureText } from './machine-events.ts';
import type { MaasSettings } from './maas-context.ts';

/** How an erase under way is told. */
export type EraseTold = MaasSettings['eraseShownAs'];

/** What this user is told: some clients take `Disk erasing` for a failure. */
export function eraseToldTo(
  user: MaasUser,
  { eraseShownAs, releasingFor }: Pick<MaasSettings, 'eraseShownAs' | 'releasingFor'>,
): EraseTold {
  return releasingFor.includes(user.principal.name) ? 'Releasing' : eraseShownAs;
}

/** MAAS's numbers of a machine's status with their names: clients know both (`NODE_STATUS`, maasserver/enum.py). */
export const statusNames = {
  0: 'New',
  1: 'Commissioning',
  2: 'Failed commissioning',
  3: 'Missing',
  4: 'Ready',
  5: 'Reserved',
  6: 'Deployed',
  7: 'Retired',
  8: 'Broken',
  9: 'Deploying',
  10: 'Allocated',
  11: 'Failed deployment',
  12: 'Releasing',
  13: 'Releasing failed',
  14: 'Disk erasing',
  15: 'Failed disk erasing',
  16: 'Rescue mode',
  17: 'Entering rescue mode',
  18: 'Failed to enter rescue mode',
  19: 'Exiting rescue mode',
  20: 'Failed to exit rescue mode',
  21: 'Testing',
  22: 'Failed testing',
} as const;

export type StatusNumber = keyof typeof statusNames;

/** The groups of `simple_status`, and what MAAS counts to them; what is in none of them is `other`. */
export const simpleStatuses: Readonly<Record<string, readonly StatusNumber[]>> = {
  new: [0],
  commissioning: [1],
  ready: [4],
  allocated: [10],
  deploying: [9],
  deployed: [6],
  failed: [2, 11, 13, 15, 18, 20, 22],
  releasing: [12, 14],
  rescue_mode: [16, 17, 18, 19, 20],
  testing: [21],
  broken: [8],
};

/** What the status of a machine is read from. */
export interface StatusSources {
  readonly machine: Pick<ShownMachine, 'state' | 'quarantine' | 'cpus'>;
  readonly claim: Pick<Claim, 'holder'> | null;
  readonly deployment: Pick<Deployment, 'state'> | null;
  /** The operation that is active there. */
  readonly active: Pick<OperationRecord, 'kind'> | null;
  /** Why it gets no new claim: its own quarantine, or that of a device that it needs. */
  readonly withheld?: Withholding | null;
}

export interface MaasStatus {
  readonly status: StatusNumber;
  readonly status_name: (typeof statusNames)[StatusNumber];
}

/**
 * What a machine is in MAAS's words. A command is journaled before its first step moves the machine: from that moment on
 * clients must see it, so an operation under way goes before the machine's own state.
 */
export function statusOf(sources: StatusSources, eraseTold: EraseTold): MaasStatus {
  const status = numberOf(sources, eraseTold === 'Releasing' ? 12 : 14);
  return { status, status_name: statusNames[status] };
}

function numberOf(
  { machine, claim, deployment, active, withheld }: StatusSources,
  erasing: 12 | 14,
): StatusNumber {
  switch (active?.kind) {
    case 'commission':
      return 1;
    case 'erase':
      return erasing;
    case 'destroy':
      return machine.state === 'erasing' ? erasing : 12;
    case 'start':
      // A known instance that is started again stays what it is.
      if (deployment?.state !== 'installed') return 9;
      break;
    default:
      break;
  }
  if (machine.quarantine) return 8;
  switch (machine.state) {
    case 'new':
      return 0;
    case 'commissioning':
      return 1;
    case 'ready':
      if (claim) return 10;
      // Nobody gets it as long as a device that it needs is in quarantine.
      return withheld ? 8 : 4;
    case 'deploying':
      return 9;
    case 'deployed':
      return 6;
    case 'releasing':
      return 12;
    case 'erasing':
      return erasing;
    case 'failed':
      // The tenant is still there: what failed is the deployment, or, of one that was installed, its release.
      if (claim) return deployment?.state === 'installed' ? 13 : 11;
      return machine.cpus === 0 ? 2 : 15;
    case 'broken':
      return 8;
  }
}

/** States in which a machine can have one of these statuses: narrows what is read; `statusOf` decides. Null = any. */
export function statesOf(statuses: ReadonlySet<StatusNumber>): readonly MachineState[] | null {
  // Operations under way and quarantines show a machine as something else than its state says: only these two are plain.
  const plain: Partial<Record<StatusNumber, MachineState>> = {
    4: 'ready',
    10: 'ready',
    6: 'deployed',
    0: 'new',
  };
  const states = [...statuses].map((status) => plain[status]);
  return states.every((state) => state !== undefined) ? [...new Set(states)] : null;
}

/** What goes on, or what is wrong, for people: `Deploying - writing debian-12 to sda`. */
export function statusMessage(
  machine: Pick<ShownMachine, 'quarantine'>,
  active: Pick<OperationRecord, 'kind' | 'state' | 'requester'> | null,
  withheld: Withholding | null = null,
  failure: Pick<OperationRecord, 'kind' | 'error'> | null = null,
): string | null {
  if (active) {
    const what = active.state === 'undoing' ? `undoing a ${active.kind}` : active.kind;
    return `Operation - ${what}, asked for by ${active.requester.principal}`;
  }
  const reason = machine.quarantine?.reason ?? (withheld && describeWithholding(withheld));
  if (reason) return `Withheld - ${reason}`;
  return failure && failureText(failure);
}
