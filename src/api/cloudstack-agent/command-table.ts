import { CodedError } from '../../../plugin-api/index.ts';
import { asCodedError, ServiceError } from '../../kernel/errors/service-error.ts';
import type { Log } from '../../kernel/log/log.ts';
import type { BodyEntry, ParsedEntry } from '../../wire/cloudstack/body.ts';
import { longField, objectField, textField } from '../../wire/cloudstack/gson-reader.ts';
import { RawJson, type GsonObject } from '../../wire/cloudstack/gson-writer.ts';
import { answerClass, answerEntry, unsupportedAnswer } from '../../wire/cloudstack/message/answer.ts';
import {
  plugNicCommandClass,
  readNicCommand,
  unPlugNicCommandClass,
} from '../../wire/cloudstack/message/nic-command.ts';
import { readRebootCommand, rebootCommandClass } from '../../wire/cloudstack/message/reboot-command.ts';
import { readStopCommand, stopCommandClass } from '../../wire/cloudstack/message/stop-command.ts';
import { readVirtualMachine } from '../../wire/cloudstack/message/virtual-machine.ts';
import type { AgentCommands, CommandContext, NicRequest } from './agent-commands.ts';
import { instanceNic, instanceReference, invalid, startRequest } from './start-request.ts';
import { stopRetry } from './stop-retry.ts';

export const startCommandClass = 'com.cloud.agent.api.StartCommand';
/** Sent by the CloudStack adapter and by ShapeBlue's MaaS branch; no stock release has it. */
export const destroyCommandClass = 'com.cloud.agent.api.baremetal.DestroyCommand';

/** One answer, and whether the command succeeded: a failure stops the rest of its frame where the frame says so. */
export interface CommandAnswer {
  readonly entry: BodyEntry;
  readonly ok: boolean;
}

interface CommandHandler {
  readonly answerClass: string;
  run(machineId: string, entry: ParsedEntry, commands: AgentCommands): Promise<void>;
  /** Fields of a good answer that have to be found out. */
  find?(machineId: string, entry: ParsedEntry, commands: AgentCommands): Promise<GsonObject>;
  /** Text of a good answer, where the stock agent sends one. */
  readonly success?: string;
  /** Fields of the answer's own class, in success and failure. */
  fields?(entry: ParsedEntry): GsonObject;
  /** Whether a failure may carry `stopRetry`, which the server reads only in answers to StartCommand. */
  readonly retriedElsewhere?: true;
}

const done = async (): Promise<void> => undefined;

/** A bare-metal instance is its machine: it cannot be anywhere else, and it has no screen of ours. */
const refuse = (what: string) => async (): Promise<never> => {
  throw new ServiceError({ code: 'request.unsupported', what });
};

/** Command class to what is done and which class answers; whatever is not here gets UnsupportedAnswer. */
const handlers: Readonly<Record<string, CommandHandler>> = {
  [startCommandClass]: {
    answerClass: answerClass.StartAnswer,
    async run(machineId, entry, commands) {
      const vm = readVirtualMachine(entry);
      if (!vm) throw new ServiceError({ code: 'request.invalid', what: 'the StartCommand has no vm' });
      await commands.start(machineId, startRequest(vm, contextOf(entry)));
    },
    // The server walks vm.disks of the answer without a null check: the VM goes back exactly as it came.
    fields(entry) {
      const vm = readVirtualMachine(entry);
      return vm ? { vm: new RawJson(vm.text) } : {};
    },
    retriedElsewhere: true,
  },
  [stopCommandClass]: {
    answerClass: answerClass.StopAnswer,
    success: 'Success',
    async run(machineId, entry, commands) {
      const stop = readStopCommand(entry);
      await commands.stop(machineId, {
        ...contextOf(entry),
        instance: instanceReference({ name: stop.vmName, id: stop.id, uuid: stop.uuid }),
        expunge: stop.expungeVM,
        force: stop.forceStop,
      });
    },
  },
  [rebootCommandClass]: {
    answerClass: answerClass.RebootAnswer,
    success: 'Success',
    async run(machineId, entry, commands) {
      const { vmName, id, uuid } = readRebootCommand(entry);
      await commands.reboot(machineId, {
        ...contextOf(entry),
        instance: instanceReference({ name: vmName, id, uuid }),
      });
    },
  },
  [plugNicCommandClass]: {
    answerClass: answerClass.PlugNicAnswer,
    success: 'success',
    run: async (machineId, entry, commands) => commands.plugNic(machineId, nicRequest(entry)),
  },
  [unPlugNicCommandClass]: {
    answerClass: answerClass.UnPlugNicAnswer,
    success: 'success',
    run: async (machineId, entry, commands) => commands.unplugNic(machineId, nicRequest(entry)),
  },
  [destroyCommandClass]: {
    answerClass: answerClass.Answer,
    success: 'Success',
    async run(machineId, entry, commands) {
      const vm = readVirtualMachine(entry);
      if (!vm) throw new ServiceError({ code: 'request.invalid', what: 'the DestroyCommand has no vm' });
      await commands.destroy(machineId, { ...contextOf(entry), instance: instanceReference(vm) });
    },
  },
  'com.cloud.agent.api.CheckHealthCommand': {
    answerClass: answerClass.CheckHealthAnswer,
    run: async (machineId, _entry, commands) => commands.checkHealth(machineId),
  },
  'com.cloud.agent.api.CheckVirtualMachineCommand': {
    answerClass: answerClass.CheckVirtualMachineAnswer,
    run: done,
    find: async (machineId, entry, commands) => ({
      state: await commands.instancePower(machineId, textField(entry.fields, 'vmName') ?? ''),
    }),
  },
  'com.cloud.agent.api.CheckOnHostCommand': {
    answerClass: answerClass.CheckOnHostAnswer,
    fields: () => ({ determined: false, alive: false }),
    run: refuse('one machine cannot tell whether another is alive'),
  },
  // The host may go into maintenance; its instance stays where it is, since it cannot migrate.
  'com.cloud.agent.api.MaintainCommand': {
    answerClass: answerClass.MaintainAnswer,
    run: done,
    fields: () => ({ willMigrate: false }),
  },
  'com.cloud.agent.api.PrepareForMigrationCommand': {
    answerClass: answerClass.PrepareForMigrationAnswer,
    run: refuse('a bare-metal instance cannot migrate'),
  },
  'com.cloud.agent.api.MigrateCommand': {
    answerClass: answerClass.MigrateAnswer,
    run: refuse('a bare-metal instance cannot migrate'),
  },
  'com.cloud.agent.api.GetVncPortCommand': {
    answerClass: answerClass.GetVncPortAnswer,
    run: refuse('a bare-metal instance has no VNC console'),
  },
  'com.cloud.agent.api.CheckNetworkCommand': {
    answerClass: answerClass.CheckNetworkAnswer,
    run: done,
    // Traffic labels name bridges of a hypervisor; a bare-metal host has none to compare.
    fields: () => ({ _reconnect: false }),
  },
  // Cron commands ask the agent to do something now and then; there is nothing of that kind on a machine whose OS is the tenant's.
  'com.cloud.agent.api.CleanupNetworkRulesCmd': { answerClass: answerClass.Answer, run: done },
  'com.cloud.agent.api.CronCommand': { answerClass: answerClass.Answer, run: done },
};

/** Carries one command out and makes its one answer, of the right class also when the command failed. Never rejects. */
export async function executeCommand(
  machineId: string,
  entry: ParsedEntry,
  commands: AgentCommands,
  log: Log,
): Promise<CommandAnswer> {
  const handler = Object.hasOwn(handlers, entry.className) ? handlers[entry.className] : undefined;
  if (!handler) {
    log.info({ command: entry.className }, 'command is not supported');
    return { entry: unsupportedAnswer(entry.className), ok: false };
  }
  let fields: GsonObject = {};
  try {
    fields = handler.fields?.(entry) ?? {};
    await handler.run(machineId, entry, commands);
    fields = { ...fields, ...(await handler.find?.(machineId, entry, commands)) };
    const details = handler.success ?? null;
    return { entry: answerEntry(handler.answerClass, { result: true, details, fields }), ok: true };
  } catch (thrown) {
    const error = asCodedError(thrown);
    log.warn({ command: entry.className, err: thrown, code: error.code }, 'command failed');
    const contextMap = handler.retriedElsewhere && stopRetry(error) ? { stopRetry: 'true' } : {};
    const details = safeText(thrown, error);
    return {
      entry: answerEntry(handler.answerClass, { result: false, details, fields, contextMap }),
      ok: false,
    };
  }
}

/** Only coded errors have a text that is safe for anyone; of a fault of ours the server learns only that. */
function safeText(thrown: unknown, error: CodedError): string {
  if (thrown instanceof CodedError) return error.message;
  return new ServiceError({ code: 'internal.bug', what: 'a fault of the bare-metal service' }).message;
}

function nicRequest(entry: ParsedEntry): NicRequest {
  const { instanceName, nic } = readNicCommand(entry);
  if (!nic) throw invalid('the command has no nic');
  return {
    ...contextOf(entry),
    instance: instanceReference({ name: instanceName, id: null, uuid: null }),
    nic: instanceNic(nic, 0),
  };
}

function contextOf(entry: ParsedEntry): CommandContext {
  const wait = Number(longField(entry.fields, 'wait') ?? 0n);
  const context = objectField(entry.fields, 'contextMap') ?? {};
  return { wait: wait > 0 ? wait : null, job: textField(context, 'job') ?? textField(context, 'logid') };
}
