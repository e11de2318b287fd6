import type { ParsedEntry } from '../body.ts';
import {
  arrayField,
  asFields,
  flagField,
  longField,
  objectField,
  textField,
  textMapField,
  type GsonFields,
} from '../gson-reader.ts';
import { objectMembers } from '../json-slice.ts';

/** `NicTO`, as far as a bare-metal host needs it. */
export interface NicTo {
  readonly deviceId: number | null;
  readonly mac: string | null;
  readonly defaultNic: boolean;
  /** For example `vlan://1201`. */
  readonly broadcastUri: string | null;
  /** For example `Vlan`. */
  readonly broadcastType: string | null;
  readonly ip: string | null;
  readonly netmask: string | null;
  readonly gateway: string | null;
  readonly dns: readonly string[];
  readonly mtu: number | null;
  readonly nicUuid: string | null;
}

/** Who owns an instance (`VirtualMachineMetadataTO`, 4.20+); the server writes "unknown" where it does not know. */
export interface OwnerTo {
  readonly domainUuid: string | null;
  readonly domainName: string | null;
  readonly accountUuid: string | null;
  readonly accountName: string | null;
  readonly projectUuid: string | null;
  readonly projectName: string | null;
}

/** `VirtualMachineTO`, as far as a bare-metal host needs it. */
export interface VirtualMachineTo {
  /** The object exactly as it stood, to be echoed. It contains the VNC password: never log it. */
  readonly text: string;
  readonly id: string | null;
  /** Instance name, `i-2-77-VM`. */
  readonly name: string | null;
  readonly uuid: string | null;
  readonly hostName: string | null;
  readonly bootArgs: string | null;
  readonly details: Readonly<Record<string, string>>;
  /** Rows of directory, file and content. */
  readonly vmData: readonly (readonly [string, string, string])[];
  readonly nics: readonly NicTo[];
  readonly owner: OwnerTo;
}

/** Reads the command's `vm`; null when it has none. */
export function readVirtualMachine(entry: ParsedEntry): VirtualMachineTo | null {
  const vm = objectField(entry.fields, 'vm');
  // Of a repeated key the last counts, as for the parsed fields.
  const text = objectMembers(entry.text).findLast((member) => member.key === 'vm')?.text;
  if (!vm || text === undefined) return null;
  return {
    text,
    id: longField(vm, 'id')?.toString() ?? null,
    name: textField(vm, 'name'),
    uuid: textField(vm, 'uuid'),
    hostName: textField(vm, 'hostName'),
    bootArgs: textField(vm, 'bootArgs'),
    // The Java field was named `params` in older releases.
    details: { ...textMapField(vm, 'params'), ...textMapField(vm, 'details') },
    vmData: arrayField(vm, 'vmData').flatMap(readDataRow),
    nics: arrayField(vm, 'nics').flatMap((nic) => {
      const fields = asFields(nic);
      return fields ? [readNic(fields)] : [];
    }),
    owner: readOwner(objectField(vm, 'metadata') ?? {}),
  };
}

export function readNic(nic: GsonFields): NicTo {
  return {
    deviceId: smallField(nic, 'deviceId'),
    mac: textField(nic, 'mac'),
    defaultNic: flagField(nic, 'defaultNic'),
    broadcastUri: textField(nic, 'broadcastUri'),
    broadcastType: textField(nic, 'broadcastType'),
    ip: textField(nic, 'ip'),
    netmask: textField(nic, 'netmask'),
    gateway: textField(nic, 'gateway'),
    dns: ['dns1', 'dns2'].flatMap((name) => textField(nic, name) ?? []),
    mtu: smallField(nic, 'mtu'),
    nicUuid: textField(nic, 'nicUuid'),
  };
}

function readDataRow(row: unknown): [string, string, string][] {
  if (!Array.isArray(row) || row.length < 3) return [];
  const [directory, file, content] = row as unknown[];
  if (typeof directory !== 'string' || typeof file !== 'string' || typeof content !== 'string') return [];
  return [[directory, file, content]];
}

function readOwner(metadata: GsonFields): OwnerTo {
  const known = (name: string): string | null => {
    const text = textField(metadata, name);
    return text === null || text === '' || text === 'unknown' ? null : text;
  };
  return {
    domainUuid: known('ownerDomainUuid'),
    domainName: known('ownerDomainName'),
    accountUuid: known('ownerAccountUuid'),
    accountName: known('ownerAccountName'),
    projectUuid: known('ownerProjectUuid'),
    projectName: known('ownerProjectName'),
  };
}

function smallField(fields: GsonFields, name: string): number | null {
  const value = longField(fields, name);
  return value === null ? null : Number(value);
}
