import type { Clock, Duration, JsonObject, Mac } from '../../../../plugin-api/index.ts';
import type { EventBus } from '../../../kernel/events/event-bus.ts';
import type { Log } from '../../../kernel/log/log.ts';
import type { Metrics } from '../../../kernel/metrics/metrics.ts';
import type { MachineId } from '../../../core/machine/machine.ts';
import type { Storage } from '../../../core/storage/storage.ts';
import type { Access } from '../../../operations/access.ts';
import type { ApiKeys } from '../../../operations/api-keys.ts';
import type { ImageLibrary } from '../../../operations/images/image-library.ts';
import type { Instances } from '../../../operations/instances/instances.ts';
import type { Machines } from '../../../operations/machines.ts';
import type { OperationEvents } from '../../../operations/operation-events.ts';
import type { OperationRequest, Operations, SaidAnswer, Submitted } from '../../../operations/operations.ts';
import type { PortService } from '../../../operations/ports/port-service.ts';
import type { PollStatus } from '../../../operations/power/power-poller.ts';
import type { PowerService } from '../../../operations/power/power-service.ts';
import type { MachineSight, Queries } from '../../../operations/queries.ts';
import type { ReconcileReport } from '../../../operations/reconcile/instance-reconciler.ts';
import type { RestoreMode } from '../../../operations/restore/restore-mode.ts';
import type { Survey } from '../../../operations/survey/survey.ts';
import type { Quarantines } from '../../../operations/quarantine/quarantines.ts';
import type { Racks } from '../../../operations/racks.ts';
import type { Pruner } from '../../../operations/timeline/pruner.ts';
import type { Users } from '../../../operations/users.ts';
import { asCodedError } from '../../../kernel/errors/service-error.ts';
import { begunAnswer, nothingAnswer, planAnswer } from '../answers.ts';
import { httpStatus } from '../http-status.ts';
import type { Reply, Route } from '../route.ts';
import { machineView, operationView } from '../views.ts';
import { z } from 'zod';

/** What the routes work with. */
export interface RouteContext {
  readonly access: Access;
  readonly keys: ApiKeys;
  readonly users: Users;
  readonly machines: Machines;
  readonly operations: Operations;
  readonly queries: Queries;
  readonly racks: Racks;
  readonly quarantines: Quarantines;
  readonly images: ImageLibrary;
  readonly ports: PortService;
  readonly survey: Pick<Survey, 'take'>;
  readonly restore: Pick<RestoreMode, 'closed' | 'refuse' | 'report' | 'compare' | 'accept'>;
  readonly storage: Storage;
  readonly instances: Instances;
  /** The machines' BMCs, and how the reading of their power goes. */
  readonly bmcs: {
    readonly power: Pick<PowerService, 'observed' | 'eventLog' | 'clearEventLog' | 'sensors' | 'console'>;
    readonly reportMaxAge: Duration;
    polling(id: MachineId): PollStatus | null;
  };
  /** State of the links to management servers. */
  readonly agents: {
    statuses(): readonly { readonly machineId: string }[];
    counts(): Readonly<Record<string, number>>;
  };
  /** How it stands with our certificate towards the management servers; null = there are no links. */
  readonly certificate?: () => object | null;
  /** What is done by CloudStack's HTTP API. */
  readonly cloudstack?: CloudStackView;
  /** DHCP on the provisioning network; null = not ours. */
  readonly provisioning: ProvisioningView | null;
  /** Removes what is older than its retention. */
  readonly pruner: Pick<Pruner, 'prune' | 'plan'>;
  readonly metrics: Metrics;
  readonly events: EventBus<OperationEvents>;
  readonly clock: Clock;
  readonly log: Log;
  readonly version: string;
}

/** What is done by CloudStack's own HTTP API. */
export interface CloudStackView {
  /** Null where no API is configured. */
  readonly reconciler: {
    readonly last: ReconcileReport | null;
    round(options: { readonly dryRun: boolean }): Promise<ReconcileReport>;
  } | null;
  /** Has the API issue our certificate; null where there is no API, or no link that would use it. */
  readonly issueCertificate: (() => Promise<object>) | null;
}

/** What the native engine's provisioning network shows of itself. */
export interface ProvisioningView {
  /** With `state`: running, failed and why, ... */
  readonly status: object;
  leases(): Promise<
    readonly {
      readonly mac: Mac;
      readonly address: string;
      readonly name: string | null;
      readonly expiresAt: number | null;
    }[]
  >;
}

export const v1 = '/api/v1';

/** Answers of every command that begins an operation. */
export const commandAnswers: Route['answers'] = {
  200: z.union([planAnswer, nothingAnswer]),
  202: begunAnswer,
};

/** Begins an operation, or, with `plan=1`, tells what it would do. */
export async function command(
  operations: Operations,
  query: { readonly plan?: string | undefined },
  request: OperationRequest,
): Promise<Reply> {
  if (query.plan === '1') return { status: 200, body: { plan: await operations.plan(request) } };
  const { kind, machineId, requester } = request;
  const submitted = await operations.answering(
    { command: kind, machineId, requester },
    () => operations.submit(request),
    said,
  );
  if (!submitted.operation) return { status: 200, body: { operation: null, already: submitted.already } };
  const { operation, joined } = submitted;
  return { status: 202, body: { operation: operationView(operation), joined } };
}

/** The answer to a command, for the machine's timeline; who may not know of the machine leaves no trace there. */
function said(outcome: { readonly value: Submitted } | { readonly thrown: unknown }): SaidAnswer | null {
  if ('value' in outcome) {
    const { operation } = outcome.value;
    if (!operation) return { text: `200, nothing to do: ${outcome.value.already}`, operationId: null };
    return { text: outcome.value.joined ? '202, joined' : '202, begun', operationId: operation.id };
  }
  const error = asCodedError(outcome.thrown);
  const status = httpStatus(error);
  return status === 404 ? null : { text: `${status}, ${error.message}`, operationId: null };
}

export function sightView({ machine, claim, deployment, active, withheld }: MachineSight): JsonObject {
  return machineView(machine, claim, deployment, active, withheld);
}
