import { parseMac } from '../../../plugin-api/index.ts';
import { ServiceError } from '../../kernel/errors/service-error.ts';
import type { NicTo, VirtualMachineTo } from '../../wire/cloudstack/message/virtual-machine.ts';
import type { CommandContext, InstanceNic, InstanceReference, StartRequest } from './agent-commands.ts';

/**
 * The boot argument by which the stock BareMetalGuru marks an instance that never ran: `doPxe` (`BaremetalManager.DO_PXE`, the same since
 * 2013). `do_pxe` is the same in a kernel's spelling.
 */
const firstDeploymentMark = /\b(?:doPxe|do_pxe)\b/;

/**
 * What a StartCommand asks for.
 * @throws CodedError `request.invalid` or `value.mac` when the VM cannot be understood.
 */
export function startRequest(vm: VirtualMachineTo, context: CommandContext): StartRequest {
  return {
    ...context,
    instance: instanceReference(vm),
    hostName: vm.hostName,
    firstDeployment: firstDeploymentMark.test(vm.bootArgs ?? ''),
    template: vm.details.template ?? null,
    nics: vm.nics.map(instanceNic),
    details: vm.details,
    owner: vm.owner,
    userData: userData(vm),
    sshKeys: sshKeys(vm),
  };
}

/** @throws ServiceError `request.invalid` when the command does not name its instance. */
export function instanceReference(vm: {
  readonly name: string | null;
  readonly id: string | null;
  readonly uuid: string | null;
}): InstanceReference {
  if (vm.name === null || vm.name === '') throw invalid('the command does not name its instance');
  return { name: vm.name, id: vm.id, uuid: vm.uuid };
}

/** @throws CodedError `request.invalid` or `value.mac` */
export function instanceNic(nic: NicTo, index: number): InstanceNic {
  if (nic.mac === null) throw invalid(`NIC ${nic.deviceId ?? index} has no MAC`);
  return {
    mac: parseMac(nic.mac),
    deviceId: nic.deviceId ?? index,
    defaultNic: nic.defaultNic,
    broadcastUri: nic.broadcastUri,
    broadcastType: nic.broadcastType,
    ip: nic.ip,
    netmask: nic.netmask,
    gateway: nic.gateway,
    dns: nic.dns,
    mtu: nic.mtu,
    uuid: nic.nicUuid,
  };
}

/** User data is base64 in `vmData` (`ConfigDriveBuilder.java`); text that cannot be base64 is taken as it is. */
function userData(vm: VirtualMachineTo): string | null {
  const content = vm.vmData.find(
    ([directory, file]) => directory === 'userdata' && /^user[_-]data$/.test(file),
  )?.[2];
  if (content === undefined || content === '') return null;
  const packed = content.replaceAll(/\s+/g, '');
  if (!/^[A-Za-z0-9+/_-]+={0,2}$/.test(packed)) return content;
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Buffer.from(packed, 'base64'));
  } catch (error) {
    throw invalid('the user data is not text (compressed user data cannot be delivered)', error);
  }
}

function sshKeys(vm: VirtualMachineTo): string[] {
  const rows = vm.vmData.filter(([directory, file]) => directory === 'metadata' && file === 'public-keys');
  const texts = rows.length > 0 ? rows.map((row) => row[2]) : [vm.details['SSH.PublicKey'] ?? ''];
  return texts
    .flatMap((text) => text.split(/\r?\n/).map((line) => line.trim()))
    .filter((line) => line !== '');
}

export function invalid(what: string, cause?: unknown): ServiceError {
  return new ServiceError({ code: 'request.invalid', what, cause });
}
