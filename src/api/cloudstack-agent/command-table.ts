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

/** A command with the number of what it came with. */
export type Command = ParsedEntry & { readonly sequence?: string | undefined };

interface CommandHandler {
  readonly answerClass: string;
  /** What csbm does, for the documentation. */
  readonly does: string;
  run(machineId: string, entry: Command, commands: AgentCommands): Promise<void>;
  /** Fields of a good answer that have to be found out. */
  find?(machineId: string, entry: ParsedEntry, commands: AgentCommands): Promise<GsonObject>;
  /** Text of a good answer, where the stock agent sends one. */
  readonly success?: string;
  /** Fields of the answer's own class, in success and failure. */
  fields?(entry: ParsedEntry): GsonObject;
  /** Whether a failure may carry `stopRetry`, which the server reads only in answers to StartCommand. */
  readonly retriedElsewhere?: true;
}

/** A command that is known and not served. */
type UnsupportedCommand = Pick<CommandHandler, 'answerClass' | 'does'> & { readonly run?: undefined };

const done = async (): Promise<void> => undefined;

const unsupported = (does: string): UnsupportedCommand => ({
  answerClass: answerClass.UnsupportedAnswer,
  does,
});

/** A bare-metal instance is its machine: it cannot be anywhere else, and it has no screen of ours. */
const refuse = (what: string) => async (): Promise<never> => {
  throw new ServiceError({ code: 'request.unsupported', what });
};

const cronWork = 'True, and nothing is done: the machine’s system is the tenant’s';
const noStatistics = 'No statistics: a BMC sees nothing of what goes on in a tenant’s system';
const noRules = 'No security groups: csbm filters nothing on the tenant’s network';
const ofHypervisors = 'For hypervisors; CloudStack sends it to those only';
const nicWork =
  'The NIC’s VLAN tagged on, or taken off, the instance’s ports, also while it runs. Nothing tells the tenant’s system: it has to add the VLAN interface itself';

/** Command class to what is done and which class answers; whatever is not here gets UnsupportedAnswer. */
const handlers: Readonly<Record<string, CommandHandler | UnsupportedCommand>> = {
  [startCommandClass]: {
    answerClass: answerClass.StartAnswer,
    does: 'Start; the answer has the VM as it came',
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
    does: 'Stop; with `expungeVM` (CloudStack 4.21+) Destroy; with `checkBeforeCleanup` refused while the instance runs',
    success: 'Success',
    async run(machineId, entry, commands) {
      const stop = readStopCommand(entry);
      await commands.stop(machineId, {
        ...contextOf(entry),
        instance: instanceReference({ name: stop.vmName, id: stop.id, uuid: stop.uuid }),
        expunge: stop.expungeVM,
        force: stop.forceStop,
        unlessRunning: stop.checkBeforeCleanup,
      });
    },
  },
  [rebootCommandClass]: {
    answerClass: answerClass.RebootAnswer,
    does: 'Reboot: power cycle if on, on if off',
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
    does: nicWork,
    success: 'success',
    run: async (machineId, entry, commands) => commands.plugNic(machineId, nicRequest(entry)),
  },
  [unPlugNicCommandClass]: {
    answerClass: answerClass.UnPlugNicAnswer,
    does: nicWork,
    success: 'success',
    run: async (machineId, entry, commands) => commands.unplugNic(machineId, nicRequest(entry)),
  },
  [destroyCommandClass]: {
    answerClass: answerClass.Answer,
    does: 'Destroy. No stock release sends it: before 4.21 expunging an instance would not release its machine',
    success: 'Success',
    async run(machineId, entry, commands) {
      const vm = readVirtualMachine(entry);
      if (!vm) throw new ServiceError({ code: 'request.invalid', what: 'the DestroyCommand has no vm' });
      await commands.destroy(machineId, { ...contextOf(entry), instance: instanceReference(vm) });
    },
  },
  'com.cloud.agent.api.CheckHealthCommand': {
    answerClass: answerClass.CheckHealthAnswer,
    does: 'True while the machine’s BMC answers',
    run: async (machineId, _entry, commands) => commands.checkHealth(machineId),
  },
  'com.cloud.agent.api.CheckVirtualMachineCommand': {
    answerClass: answerClass.CheckVirtualMachineAnswer,
    does: 'PowerOn, PowerOff, or PowerUnknown where that is not certain',
    run: done,
    find: async (machineId, entry, commands) => ({
      state: await commands.instancePower(machineId, textField(entry.fields, 'vmName') ?? ''),
    }),
  },
  'com.cloud.agent.api.CheckOnHostCommand': {
    answerClass: answerClass.CheckOnHostAnswer,
    does: 'Cannot tell: one machine knows nothing of another',
    fields: () => ({ determined: false, alive: false }),
    run: refuse('one machine cannot tell whether another is alive'),
  },
  // The host may go into maintenance; its instance stays where it is, since it cannot migrate.
  'com.cloud.agent.api.MaintainCommand': {
    answerClass: answerClass.MaintainAnswer,
    does: 'Accepted; the instance stays where it is',
    run: done,
    fields: () => ({ willMigrate: false }),
  },
  'com.cloud.agent.api.PrepareForMigrationCommand': {
    answerClass: answerClass.PrepareForMigrationAnswer,
    does: 'Refused: a physical server cannot migrate',
    run: refuse('a bare-metal instance cannot migrate'),
  },
  'com.cloud.agent.api.MigrateCommand': {
    answerClass: answerClass.MigrateAnswer,
    does: 'Refused: a physical server cannot migrate',
    run: refuse('a bare-metal instance cannot migrate'),
  },
  'com.cloud.agent.api.GetVncPortCommand': {
    answerClass: answerClass.GetVncPortAnswer,
    does: 'Refused: there is no VNC console',
    run: refuse('a bare-metal instance has no VNC console'),
  },
  'com.cloud.agent.api.CheckNetworkCommand': {
    answerClass: answerClass.CheckNetworkAnswer,
    does: 'True: the traffic labels name bridges of hypervisors',
    run: done,
    // Traffic labels name bridges of a hypervisor; a bare-metal host has none to compare.
    fields: () => ({ _reconnect: false }),
  },
  'com.cloud.agent.api.baremetal.IpmISetBootDevCommand': {
    answerClass: answerClass.Answer,
    does: '`disk`: true, without touching the BMC, since csbm sets the boot device itself before each boot. `pxe` and `cdrom`: refused',
    success: 'the boot device is set to disk before each boot of an instance',
    run: async (_machineId, entry) => setBootDevice(textField(entry.fields, 'bootDev')),
  },
  'com.cloud.agent.api.baremetal.IpmiBootorResetCommand': {
    answerClass: answerClass.Answer,
    does: 'Refused: it names no instance, so it could reset another tenant’s. StartCommand and RebootCommand do it',
    run: refuse(
      'a boot or reset that names no instance is not carried out: send StartCommand or RebootCommand',
    ),
  },
  // Cron commands ask the agent to do something now and then; there is nothing of that kind on a machine whose OS is the tenant's.
  'com.cloud.agent.api.CleanupNetworkRulesCmd': {
    answerClass: answerClass.Answer,
    does: cronWork,
    run: done,
  },
  'com.cloud.agent.api.CronCommand': { answerClass: answerClass.Answer, does: cronWork, run: done },
  'com.cloud.agent.api.AgentControlCommand': {
    answerClass: answerClass.AgentControlAnswer,
    does: 'Refused: agents send it, and csbm has nothing to control',
    run: refuse('there is nothing to control on a bare-metal host'),
  },
  // What happens inside a tenant's system cannot be seen from its BMC, and a made-up number is worse than none.
  'com.cloud.agent.api.GetHostStatsCommand': unsupported(noStatistics),
  'com.cloud.agent.api.GetVmStatsCommand': unsupported(noStatistics),
  'com.cloud.agent.api.GetVmDiskStatsCommand': unsupported(noStatistics),
  'com.cloud.agent.api.GetVmNetworkStatsCommand': unsupported(noStatistics),
  'com.cloud.agent.api.NetworkUsageCommand': unsupported(noStatistics),
  'com.cloud.agent.api.SecurityGroupRulesCmd': unsupported(noRules),
  'com.cloud.agent.api.NetworkRulesVmSecondaryIpCommand': unsupported(noRules),
  'com.cloud.agent.api.NetworkRulesSystemVmCommand': unsupported(noRules),
  // "True" would say that the other address answered; the server takes anything else as unknown.
  'com.cloud.agent.api.PingTestCommand': unsupported(
    'Cannot tell: the service is not on the machine’s network',
  ),
  'com.cloud.agent.api.SetHostParamsCommand': unsupported(ofHypervisors),
  'com.cloud.agent.api.ModifySshKeysCommand': unsupported(ofHypervisors),
  'com.cloud.agent.api.ModifyStoragePoolCommand': unsupported(ofHypervisors),
  'com.cloud.agent.api.storage.DestroyCommand': unsupported(
    'There are no volumes: an instance’s disks go with Destroy',
  ),
  'com.cloud.agent.api.baremetal.PreparePxeServerCommand': unsupported(
    'For CloudStack’s own PXE servers; csbm brings its own',
  ),
};

/** Every command that has an answer of its own: class, class of the answer, and what is done, for the documentation. */
export function servedCommands(): readonly {
  readonly command: string;
  readonly answerClass: string;
  readonly does: string;
}[] {
  return Object.entries(handlers).map(([command, { answerClass, does }]) => ({ command, answerClass, does }));
}

/** Carries one command out and makes its one answer, of the right class also when the command failed. Never rejects. */
export async function executeCommand(
  machineId: string,
  entry: Command,
  commands: AgentCommands,
  log: Log,
): Promise<CommandAnswer> {
  const handler = Object.hasOwn(handlers, entry.className) ? handlers[entry.className] : undefined;
  if (!handler?.run) {
    // Statistics are asked for every minute: what is expected is not worth a line each time.
    log[handler ? 'debug' : 'info']({ command: entry.className }, 'command is not supported');
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
    return failedAnswer(handler, entry, thrown, fields, log);
  }
}

/** The answer to a command that failed: its own class, with the reason. */
export function failedAnswer(
  handler: Pick<CommandHandler, 'answerClass' | 'retriedElsewhere'>,
  entry: ParsedEntry,
  thrown: unknown,
  fields: GsonObject,
  log: Log,
): CommandAnswer {
  const error = asCodedError(thrown);
  log.warn({ command: entry.className, err: thrown, code: error.code }, 'command failed');
  const contextMap = handler.retriedElsewhere && stopRetry(error) ? { stopRetry: 'true' } : {};
  const details = safeText(thrown, error);
  return {
    entry: answerEntry(handler.answerClass, { result: false, details, fields, contextMap }),
    ok: false,
  };
}

/** Only coded errors have a text that is safe for anyone; of a fault of ours the server learns only that. */
function safeText(thrown: unknown, error: CodedError): string {
  if (thrown instanceof CodedError) return error.message;
  return new ServiceError({ code: 'internal.bug', what: 'a fault of the bare-metal service' }).message;
}

/**
 * Only what every boot of ours does anyway is granted. From the network a tenant's machine would boot whatever answers on the tenant's
 * VLAN; and a boot device set between two steps of an operation would make it boot the wrong thing.
 */
function setBootDevice(device: string | null): void {
  if (device?.toLowerCase() === 'disk') return;
  throw new ServiceError({
    code: 'request.unsupported',
    what: `the boot device ${device ?? ''} is not set on request: installing belongs to StartCommand`,
  });
}

function nicRequest(entry: Command): NicRequest {
  const { instanceName, nic } = readNicCommand(entry);
  if (!nic) throw invalid('the command has no nic');
  return {
    ...contextOf(entry),
    instance: instanceReference({ name: instanceName, id: null, uuid: null }),
    nic: instanceNic(nic, 0),
  };
}

function contextOf(entry: Command): CommandContext {
  const wait = Number(longField(entry.fields, 'wait') ?? 0n);
  const context = objectField(entry.fields, 'contextMap') ?? {};
  return {
    wait: wait > 0 ? wait : null,
    job: textField(context, 'job') ?? textField(context, 'logid'),
    sequence: entry.sequence ?? null,
  };
}
