import { CodedError, seconds, type Clock, type Duration } from '../../../plugin-api/index.ts';
import { askerOf, requesterOf, type Asker } from '../../core/access/principal.ts';
import { scopeTerm } from '../../core/access/scope.ts';
import type { MachineId } from '../../core/machine/machine.ts';
import type { OperationRecord } from '../../core/storage/journal-records.ts';
import { ServiceError } from '../../kernel/errors/service-error.ts';
import type { Machines } from '../../operations/machines.ts';
import type { OperationRequest, Operations } from '../../operations/operations.ts';
import type { EventNotes } from '../../operations/timeline/event-notes.ts';
import type { AgentCommands, CommandContext, InstanceOwner, InstanceReference } from './agent-commands.ts';

export interface AgentOperationsOptions {
  readonly machines: Pick<Machines, 'powerReport' | 'checkHealth'>;
  readonly operations: Pick<Operations, 'submit' | 'ended' | 'endedOrReleased'>;
  /** Hears of every answer to a command. */
  readonly timeline: Pick<EventNotes, 'note'>;
  readonly clock: Clock;
  /** Name of the cloud whose management servers command here: makes instance names unique. */
  readonly cloud: string;
  /** Through which door the commands come: recorded with every operation. */
  readonly door?: 'cloudstack-agent' | 'cloudstack-direct';
  /** How long a caller that names no wait is given before a Destroy is answered while its erase goes on. */
  readonly destroyPatience: Duration;
}

/** Part of the caller's wait that is left for the answer's way back. */
const answerShare = 0.1;

/** CloudStack's commands as operations: a translation, without rules of its own. */
export class AgentOperations implements AgentCommands {
  readonly #options: AgentOperationsOptions;

  constructor(options: AgentOperationsOptions) {
    this.#options = options;
  }

  async start(machineId: string, request: Parameters<AgentCommands['start']>[1]): Promise<void> {
    if (request.template === null && request.firstDeployment) {
      throw new ServiceError({ code: 'image.no-match', what: 'the StartCommand names no template' });
    }
    await this.#perform({
      kind: 'start',
      machineId: machineId as MachineId,
      requester: this.#requester('StartCommand', request),
      wait: waitOf(request),
      firstDeployment: request.firstDeployment,
      externalId: this.#externalId(request.instance),
      owner: ownerText(request.owner),
      template: request.template ?? '',
      nics: request.nics.map(({ mac, broadcastUri, defaultNic, deviceId }) => ({
        mac,
        broadcastUri,
        defaultNic,
        deviceId,
      })),
      hostname: request.hostName ?? request.instance.name,
      sshKeys: request.sshKeys,
      userData: request.userData,
      instanceUuid: uuidOf(request.instance),
      tags: ownerTags(request.owner),
    });
  }

  async stop(machineId: string, request: Parameters<AgentCommands['stop']>[1]): Promise<void> {
    if (request.expunge) return this.#release(machineId, 'StopCommand expungeVM', request);
    if (request.unlessRunning) await this.#refuseRunning(machineId, request.instance);
    await this.#perform({
      kind: 'stop',
      machineId: machineId as MachineId,
      requester: this.#requester('StopCommand', request),
      wait: waitOf(request),
      externalId: this.#externalId(request.instance),
      force: request.force,
    });
  }

  /** A report of its power was overtaken: CloudStack cleans up after an instance that it takes to be off. */
  async #refuseRunning(machineId: string, { name }: InstanceReference): Promise<void> {
    if ((await this.instancePower(machineId, name)) !== 'PowerOn') return;
    throw new ServiceError({
      code: 'machine.state',
      retry: 'never',
      what: `${name} is running, and is left so: the command was only to clean up after it`,
    });
  }

  async reboot(machineId: string, request: Parameters<AgentCommands['reboot']>[1]): Promise<void> {
    await this.#perform({
      kind: 'reboot',
      machineId: machineId as MachineId,
      requester: this.#requester('RebootCommand', request),
      wait: waitOf(request),
      externalId: this.#externalId(request.instance),
    });
  }

  plugNic(machineId: string, request: Parameters<AgentCommands['plugNic']>[1]): Promise<void> {
    return this.#changeNic('plug-nic', 'PlugNicCommand', machineId, request);
  }

  unplugNic(machineId: string, request: Parameters<AgentCommands['unplugNic']>[1]): Promise<void> {
    return this.#changeNic('unplug-nic', 'UnPlugNicCommand', machineId, request);
  }

  async #changeNic(
    kind: 'plug-nic' | 'unplug-nic',
    command: string,
    machineId: string,
    request: Parameters<AgentCommands['plugNic']>[1],
  ): Promise<void> {
    const { mac, broadcastUri, defaultNic } = request.nic;
    await this.#perform({
      kind,
      machineId: machineId as MachineId,
      requester: this.#requester(command, request),
      wait: waitOf(request),
      externalId: this.#externalId(request.instance),
      mac,
      broadcastUri,
      defaultNic,
    });
  }

  async instancePower(
    machineId: string,
    instanceName: string,
  ): Promise<'PowerOn' | 'PowerOff' | 'PowerUnknown'> {
    const report = await this.#options.machines.powerReport(machineId as MachineId);
    // An instance that is certainly not here is off here.
    return report === null ? 'PowerUnknown' : (report.get(instanceName) ?? 'PowerOff');
  }

  checkHealth(machineId: string): Promise<void> {
    return this.#options.machines.checkHealth(machineId as MachineId);
  }

  destroy(machineId: string, request: Parameters<AgentCommands['destroy']>[1]): Promise<void> {
    return this.#release(machineId, 'DestroyCommand', request);
  }

  /** Answered at its end, or, when the caller's wait runs out first, once the tenant is gone from the network. */
  async #release(
    machineId: string,
    command: string,
    request: CommandContext & { readonly instance: InstanceReference },
  ): Promise<void> {
    const { operations, destroyPatience } = this.#options;
    const order: OperationRequest = {
      kind: 'destroy',
      machineId: machineId as MachineId,
      requester: this.#requester(command, request),
      externalId: this.#externalId(request.instance),
    };
    const patience = ((waitOf(request) ?? destroyPatience) * (1 - answerShare)) as Duration;
    await this.#answered(order, async ({ id }) =>
      throwUnlessDone(await operations.endedOrReleased(id, patience)),
    );
  }

  async #perform(request: OperationRequest): Promise<void> {
    const { operations } = this.#options;
    await this.#answered(request, async ({ id }) =>
      throwUnlessDone(await operations.ended(id), request.kind),
    );
  }

  /** Submits, waits as `end` says, and notes what the answer is. */
  async #answered(
    request: OperationRequest,
    end: (operation: OperationRecord) => Promise<void>,
  ): Promise<void> {
    const { clock, operations, timeline } = this.#options;
    const { kind, machineId, requester } = request;
    const began = clock.monotonic();
    let operationId: string | null = null;
    const note = (said: string): void =>
      timeline.note({
        at: clock.now(),
        machineId,
        operationId,
        kind: 'answer',
        text: `${kind} answered: ${said}`,
        took: clock.monotonic() - began,
        who: requesterOf(requester),
      });
    try {
      const { operation } = await operations.submit(request);
      operationId = operation?.id ?? null;
      if (operation) await end(operation);
      note('success');
    } catch (thrown) {
      note(`failure: ${thrown instanceof CodedError ? thrown.message : 'a fault of the service'}`);
      throw thrown;
    }
  }

  #externalId(instance: InstanceReference): string {
    return `${this.#options.cloud}/${instance.name}`;
  }

  /** A management server is who its link says: behind it stands the principal of its cloud, on that cloud's hosts only. */
  #requester(command: string, context: CommandContext): Asker {
    const { cloud, door = 'cloudstack-agent' } = this.#options;
    return askerOf(
      { name: `cloud:${cloud}`, role: 'cloud', scope: scopeTerm('cloud', cloud) },
      door,
      [command, context.sequence && `sequence ${context.sequence}`, context.job]
        .filter((part) => part !== null && part !== '')
        .join(', '),
    );
  }
}

/** A failed operation's reason becomes the answer's. An operation that goes on after the tenant's release is a success here. */
function throwUnlessDone(operation: OperationRecord, asked: OperationRecord['kind'] = operation.kind): void {
  if (operation.state === 'done' || operation.endedAt === null) return;
  // A Stop that joined a Destroy, say: whatever became of it, what was asked for is judged by its own kind.
  if (
    operation.kind !== asked &&
    operation.kind === 'destroy' &&
    asked === 'stop' &&
    operation.error?.code.startsWith('deploy.')
  )
    return;
  throw new CodedError(
    operation.error ?? {
      code: 'internal.bug',
      retry: 'operator',
      what: `the ${operation.kind} ended as ${operation.state}`,
    },
  );
}

/** Only a real UUID is worth keeping: the instance is looked up by it. */
function uuidOf({ uuid }: InstanceReference): string | undefined {
  const text = uuid?.toLowerCase();
  return text !== undefined && /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(text) ? text : undefined;
}

function waitOf(context: CommandContext): Duration | undefined {
  return context.wait === null ? undefined : seconds(context.wait);
}

/** The marks that CloudStack's MaaS plugin puts on an instance's machine. */
function ownerTags({ accountUuid, domainUuid, projectUuid }: InstanceOwner): readonly string[] {
  const marks = { accountid: accountUuid, domainid: domainUuid, projectid: projectUuid };
  return Object.entries(marks).flatMap(([name, uuid]) =>
    uuid !== null && /^[0-9A-Za-z-]{1,64}$/.test(uuid) ? [`${name}_${uuid}`] : [],
  );
}

function ownerText(owner: InstanceOwner): string {
  const parts = [
    owner.domainName ?? owner.domainUuid,
    owner.accountName ?? owner.accountUuid,
    owner.projectName ?? owner.projectUuid,
  ];
  return parts.filter((part) => part !== null).join('/');
}
