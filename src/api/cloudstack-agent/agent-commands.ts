import type { Mac } from '../../../plugin-api/index.ts';

/** The CloudStack instance that a command is about. */
export interface InstanceReference {
  /** Instance name, `i-2-77-VM`: the key that every command carries. */
  readonly name: string;
  /** Database id as decimal text, or null when the command did not say. */
  readonly id: string | null;
  readonly uuid: string | null;
}

/** A NIC of an instance as CloudStack allotted it. */
export interface InstanceNic {
  readonly mac: Mac;
  readonly deviceId: number;
  readonly defaultNic: boolean;
  /** As it came, for example `vlan://1201`; null when the command had none. */
  readonly broadcastUri: string | null;
  readonly broadcastType: string | null;
  readonly ip: string | null;
  readonly netmask: string | null;
  readonly gateway: string | null;
  readonly dns: readonly string[];
  readonly mtu: number | null;
  readonly uuid: string | null;
}

/** Who owns an instance, as far as the server told (4.20+ only). */
export interface InstanceOwner {
  readonly accountUuid: string | null;
  readonly accountName: string | null;
  readonly domainUuid: string | null;
  readonly domainName: string | null;
  readonly projectUuid: string | null;
  readonly projectName: string | null;
}

/** What every request carries besides its own. */
export interface CommandContext {
  /** Seconds that the server waits for this command, or null when it did not say (it then waits its global `wait`, 1800 s). */
  readonly wait: number | null;
  /** The server's own names of the job, for the log; null when it sent none. */
  readonly job: string | null;
  /** Number of the frame or request that it came with; null where the door has none. */
  readonly sequence: string | null;
}

export interface StartRequest extends CommandContext {
  readonly instance: InstanceReference;
  /** The host name that the tenant chose. */
  readonly hostName: string | null;
  /** True when the server says that the instance never ran (`doPxe` in the boot arguments). */
  readonly firstDeployment: boolean;
  /** The template's URL, to be mapped to an image. */
  readonly template: string | null;
  readonly nics: readonly InstanceNic[];
  readonly details: Readonly<Record<string, string>>;
  readonly owner: InstanceOwner;
  /** cloud-init user data, decoded; null when the command had none. May hold the tenant's secrets: never log it. */
  readonly userData: string | null;
  readonly sshKeys: readonly string[];
}

export interface StopRequest extends CommandContext {
  readonly instance: InstanceReference;
  /** The instance is being expunged: the machine is to be erased and released. */
  readonly expunge: boolean;
  /** The caller wants no soft shutdown. */
  readonly force: boolean;
  /** The caller takes the instance to be off already: one that runs is left alone, and the command fails. */
  readonly unlessRunning: boolean;
}

export interface DestroyRequest extends CommandContext {
  readonly instance: InstanceReference;
}

export interface RebootRequest extends CommandContext {
  readonly instance: InstanceReference;
}

export interface NicRequest extends CommandContext {
  readonly instance: InstanceReference;
  readonly nic: InstanceNic;
}

/**
 * What the agent door asks of the service. The door owns no rule: it calls these as often as commands come, also for repetitions; the
 * operations arbitrate and join. Each resolves when the thing is done and rejects with a CodedError when it failed.
 */
export interface AgentCommands {
  start(machineId: string, request: StartRequest): Promise<void>;
  stop(machineId: string, request: StopRequest): Promise<void>;
  reboot(machineId: string, request: RebootRequest): Promise<void>;
  plugNic(machineId: string, request: NicRequest): Promise<void>;
  unplugNic(machineId: string, request: NicRequest): Promise<void>;
  destroy(machineId: string, request: DestroyRequest): Promise<void>;
  /** Power of an instance on a machine, as certain as a power report. */
  instancePower(machineId: string, instanceName: string): Promise<'PowerOn' | 'PowerOff' | 'PowerUnknown'>;
  /** Resolves when the machine's BMC answers; rejects with the reason when not. */
  checkHealth(machineId: string): Promise<void>;
}
