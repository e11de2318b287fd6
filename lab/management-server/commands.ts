import type { GsonObject } from '../../src/wire/cloudstack/gson-writer.ts';
import type { LabServerList } from './behaviours.ts';

/** A command before it is written: fields without those of the base class, which the server adds. */
export interface LabCommand {
  readonly className: string;
  readonly fields: GsonObject;
  /** Whether the command asks for sequential execution; one such command marks its whole frame. */
  readonly inSequence: boolean;
}

const api = 'com.cloud.agent.api.';

export interface LabNic {
  readonly mac: string;
  readonly deviceId?: number;
  readonly defaultNic?: boolean;
  readonly ip?: string;
  readonly netmask?: string;
  readonly gateway?: string;
  /** For example `vlan://1201`; the isolation URI is the same. */
  readonly broadcastUri?: string;
  readonly networkId?: number;
  readonly nicUuid?: string;
}

export interface LabInstance {
  /** Instance name, `i-2-77-VM`. */
  readonly name: string;
  readonly id: number | bigint;
  readonly uuid: string;
  readonly hostName?: string;
  /** Template URL. */
  readonly template?: string;
  readonly nics?: readonly LabNic[];
  /** The instance never ran: the guru marks its boot arguments. */
  readonly doPxe?: boolean;
  /** More VM details. */
  readonly details?: Readonly<Record<string, string>>;
  /** Rows of directory, file, content. */
  readonly vmData?: readonly (readonly [string, string, string])[];
  readonly os?: string;
}

export interface LabCommandOptions {
  /** Setting `execute.in.sequence.hypervisor.commands`; false in a fresh installation. */
  readonly executeInSequence?: boolean;
}

export function startCommand(
  instance: LabInstance,
  options: LabCommandOptions & { readonly hostIp?: string } = {},
): LabCommand {
  const executeInSequence = options.executeInSequence ?? false;
  return {
    className: `${api}StartCommand`,
    fields: { vm: virtualMachine(instance), hostIp: options.hostIp ?? '10.9.8.7', executeInSequence },
    inSequence: executeInSequence,
  };
}

export function stopCommand(
  stop: { readonly name: string; readonly force?: boolean; readonly expunge?: boolean },
  options: LabCommandOptions = {},
): LabCommand {
  const executeInSequence = options.executeInSequence ?? false;
  return {
    className: `${api}StopCommand`,
    fields: {
      isProxy: false,
      checkBeforeCleanup: false,
      forceStop: stop.force ?? false,
      expungeVM: stop.expunge ?? false,
      volumesToDisconnect: [],
      vmName: stop.name,
      executeInSequence,
    },
    inSequence: executeInSequence,
  };
}

/** The DestroyCommand of ShapeBlue's MaaS branch, which always runs in sequence. */
export function destroyCommand(instance: LabInstance): LabCommand {
  return {
    className: `${api}baremetal.DestroyCommand`,
    fields: { vm: virtualMachine(instance), executeInSequence: true },
    inSequence: true,
  };
}

export function rebootCommand(name: string, options: LabCommandOptions = {}): LabCommand {
  const executeInSequence = options.executeInSequence ?? false;
  return {
    className: `${api}RebootCommand`,
    fields: { vmName: name, executeInSequence },
    inSequence: executeInSequence,
  };
}

/** Both always run in sequence. */
export function plugNicCommand(instanceName: string, plugged: LabNic): LabCommand {
  return {
    className: `${api}PlugNicCommand`,
    fields: { nic: nic(plugged, 1), instanceName, vmType: 'User', details: {} },
    inSequence: true,
  };
}

export function unPlugNicCommand(instanceName: string, unplugged: LabNic): LabCommand {
  return {
    className: `${api}UnPlugNicCommand`,
    fields: { nic: nic(unplugged, 1), instanceName },
    inSequence: true,
  };
}

export function checkNetworkCommand(): LabCommand {
  const network = {
    physicalNetworkId: 200,
    privateNetworkName: 'cloudbr0',
    publicNetworkName: 'cloudbr1',
    guestNetworkName: 'cloudbr1',
  };
  return { className: `${api}CheckNetworkCommand`, fields: { networkInfoList: [network] }, inSequence: true };
}

export function cleanupNetworkRulesCommand(): LabCommand {
  return { className: `${api}CleanupNetworkRulesCmd`, fields: { interval: 10 }, inSequence: false };
}

export function shutdownCommand(removeHost = true): LabCommand {
  return {
    className: `${api}ShutdownCommand`,
    fields: { reason: 'deleteHost', removeHost },
    inSequence: true,
  };
}

/** Tells an agent its management servers; 4.21 and later send all of these fields. */
export function setupMsListCommand(list: LabServerList, triggerHostLb = false): LabCommand {
  return {
    className: 'org.apache.cloudstack.agent.lb.SetupMSListCommand',
    fields: { ...serverFields(list), triggerHostLb },
    inSequence: false,
  };
}

/** Sends an agent to another management server (4.21+). */
export function migrateAgentConnectionCommand(list: LabServerList): LabCommand {
  return { className: `${api}MigrateAgentConnectionCommand`, fields: serverFields(list), inSequence: false };
}

function serverFields({ hosts, avoid, algorithm, checkInterval }: LabServerList): GsonObject {
  return { msList: hosts, avoidMsList: avoid, lbAlgorithm: algorithm, lbCheckInterval: checkInterval };
}

/** Asks for a certificate request. */
export function setupKeyStoreCommand(): LabCommand {
  return {
    className: 'org.apache.cloudstack.ca.SetupKeyStoreCommand',
    fields: {
      validityDays: 365,
      keystorePassword: 'S3cretPassw0rd16',
      handleByAgent: true,
      accessDetails: {},
    },
    inSequence: false,
  };
}

/** Brings the certificate that was requested, PEM. */
export function setupCertificateCommand(certificate: string, caCertificates: string): LabCommand {
  return {
    className: 'org.apache.cloudstack.ca.SetupCertificateCommand',
    fields: { certificate, privateKey: '', caCertificates, handleByAgent: true, accessDetails: {} },
    inSequence: false,
  };
}

export function ipmiSetBootDevCommand(bootDev: 'pxe' | 'disk' | 'cdrom'): LabCommand {
  return { className: `${api}baremetal.IpmISetBootDevCommand`, fields: { bootDev }, inSequence: true };
}

/** Any command without fields of its own. */
export function bareCommand(className: string): LabCommand {
  return { className: className.includes('.') ? className : api + className, fields: {}, inSequence: false };
}

/** `VirtualMachineTO` in the order in which the server's Gson writes it. */
function virtualMachine(instance: LabInstance): GsonObject {
  return {
    id: instance.id,
    name: instance.name,
    bootloader: 'HVM',
    type: 'User',
    cpus: 32,
    minSpeed: 2400,
    maxSpeed: 2400,
    minRam: 137_438_953_472,
    maxRam: 137_438_953_472,
    hostName: instance.hostName ?? instance.name,
    arch: 'x86_64',
    os: instance.os ?? 'Ubuntu 24.04 LTS',
    bootArgs: instance.doPxe ? 'do_pxe' : '',
    enableHA: false,
    limitCpuUse: false,
    enableDynamicallyScaleVm: false,
    vncPassword: "vncPW<1>&'=",
    details: {
      template: instance.template ?? null,
      'Message.ReservedCapacityFreed.Flag': 'true',
      ...instance.details,
    },
    uuid: instance.uuid,
    enterHardwareSetup: false,
    disks: [],
    nics: (instance.nics ?? []).map(nic),
    vmData: instance.vmData,
    configDriveLocation: 'SECONDARY',
    guestOsDetails: {},
    extraConfig: {},
    networkIdToNetworkNameMap: {},
  };
}

function nic(nic: LabNic, index: number): GsonObject {
  const deviceId = nic.deviceId ?? index;
  return {
    deviceId,
    networkRateMbps: 1000,
    defaultNic: nic.defaultNic ?? index === 0,
    pxeDisable: false,
    nicUuid: nic.nicUuid ?? `aaaaaaaa-0000-4000-8000-${deviceId.toString().padStart(12, '0')}`,
    dpdkEnabled: false,
    mtu: 1500,
    networkId: nic.networkId ?? 200 + deviceId,
    ip: nic.ip ?? null,
    netmask: nic.netmask ?? '255.255.255.0',
    gateway: nic.gateway ?? null,
    mac: nic.mac,
    dns1: '9.9.9.9',
    dns2: '1.1.1.1',
    broadcastType: 'Vlan',
    type: 'Guest',
    broadcastUri: nic.broadcastUri ?? null,
    isolationUri: nic.broadcastUri ?? null,
    securityGroupEnabled: false,
  };
}
