import { ServiceError } from '../../kernel/errors/service-error.ts';
import type { OperationKind } from '../storage/journal-records.ts';
import type { Asker, Role } from './principal.ts';
import { parseScope, type MachinePlace } from './scope.ts';

/** Operations on one machine: the journal's kinds, cancelling one, and what people do to a machine's record. */
const machineActions = [
  'machine.read',
  'machine.timeline',
  'machine.enrol',
  'machine.forget',
  'machine.withhold',
  'machine.console',
  'machine.claim',
  'machine.describe',
  'machine.clear-events',
  'operation.cancel',
  'operation.commission',
  'operation.start',
  'operation.stop',
  'operation.reboot',
  'operation.plug-nic',
  'operation.unplug-nic',
  'operation.destroy',
  'operation.erase',
] as const satisfies readonly (`operation.${OperationKind | 'cancel'}` | `machine.${string}`)[];

/** What concerns the whole service: only a principal whose scope is everything may do it. */
const wholeActions = [
  'rack.write',
  'pool.write',
  'image.write',
  'metrics.read',
  'principal.manage',
  'cloud.read',
  'cloud.write',
  'restore.accept',
  'service.prune',
] as const;

/** What everybody who may do it may do, whatever the scope: it shows only what the scope lets it show. */
const openActions = ['service.read', 'image.read', 'rack.check'] as const;

export const actions = [...machineActions, ...wholeActions, ...openActions] as const;

export type Action = (typeof actions)[number];

const reading: readonly Action[] = ['machine.read', 'service.read', 'image.read'];

const tenancy: readonly Action[] = [
  'operation.start',
  'operation.stop',
  'operation.reboot',
  'operation.destroy',
];

const instance: readonly Action[] = [...tenancy, 'operation.plug-nic', 'operation.unplug-nic'];

/** Who may do what: the one table of it. Where, is the scope's part. */
export const rights: Readonly<Record<Role, ReadonlySet<Action>>> = {
  admin: new Set(actions),
  operator: new Set(actions.filter((action) => action !== 'principal.manage')),
  viewer: new Set([...reading, 'machine.timeline', 'metrics.read', 'cloud.read']),
  // A CloudStack: what its commands ask for, on the hosts that are its own.
  cloud: new Set([...reading, ...instance]),
  // A tenant's account, at a door that hands machines out to people: only machines that it holds (`operations/allocations.ts`).
  user: new Set([...reading, ...tenancy, 'machine.claim', 'machine.describe', 'operation.cancel']),
};

type By = Pick<Asker, 'principal' | 'role' | 'scope'>;

/**
 * Whether the principal may do it at all: by its role, and, for what concerns the whole service, by its scope.
 * @throws ServiceError `request.forbidden`, `access.scope`
 */
export function authorise(by: By, action: Action): void {
  if (!rights[by.role].has(action)) {
    throw new ServiceError({
      code: 'request.forbidden',
      what: `the role ${by.role} does not include ${action}`,
      where: `principal ${by.principal}`,
    });
  }
  if (isWhole(action) && !parseScope(by.scope).whole) {
    throw new ServiceError({
      code: 'access.scope',
      what: `${action} concerns the whole service, and the scope of ${by.principal} is ${by.scope}`,
      remedy: 'ask somebody whose scope is everything',
    });
  }
}

/**
 * Whether the principal may do it to this machine. `null` = there is no such machine: somebody with a limited scope is told
 * the same as for a machine outside it, so that nobody learns by asking what else there is.
 * @param named what was asked for, for the error
 * @throws ServiceError `request.forbidden`, `access.scope`
 */
export function authoriseOn(by: By, action: Action, machine: MachinePlace | null, named: string): void {
  authorise(by, action);
  const scope = parseScope(by.scope);
  if (machine ? scope.includes(machine) : scope.whole) return;
  throw new ServiceError({
    code: 'access.scope',
    what: `the scope of ${by.principal} (${by.scope}) has no machine "${named}"`,
  });
}

export function isWhole(action: Action): boolean {
  return (wholeActions as readonly Action[]).includes(action);
}
