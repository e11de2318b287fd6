import type { MachineId } from '../../core/machine/machine.ts';

/** What a survey may find, by code; docs/doctor.md is made from it. */
export const findingCodes = {
  'bmc.unreachable': {
    meaning: "A machine's BMC could not be asked",
    remedy: 'see what it said: power and network of the BMC, its user and password, its free sessions',
  },
  'power.unexpected': {
    meaning: 'A machine is on or off although it should not be, or is known to be otherwise',
    remedy: 'find out who switched it; csbm console MACHINE shows what runs there',
  },
  'switch.unreachable': {
    meaning: 'A switch could not be read',
    remedy: 'see what it said: its management network, SSH, user and password, host key',
  },
  'switch.unsaved': {
    meaning: 'A switch has changes that are not saved: a reload would lose them',
    remedy: 'make room or mend what it says; the save is tried again with the next change',
  },
  'port.drifted': {
    meaning: 'A port is not as it was left',
    remedy:
      'find out who changed it; the next operation on the machine brings it back, a Start of the instance for example',
  },
  'uplink.incomplete': {
    meaning: 'An uplink does not carry every VLAN that is in use',
    remedy: 'the next change on the switch brings it back; until then machines may be cut off',
  },
  'machine.withheld': {
    meaning: 'A machine is in quarantine, or fenced',
    remedy: 'see the reason, mend it, then csbm machine lift MACHINE',
  },
  'machine.stuck': {
    meaning: 'A machine is neither ready nor in use, and nothing is done about it',
    remedy:
      'see in csbm timeline MACHINE what failed; csbm machine erase MACHINE, or commission, makes it ready again',
  },
  'device.withheld': {
    meaning: 'A port, a switch or a BMC is in quarantine, and its machines with it',
    remedy: 'see the reason, mend it, then lift the quarantine',
  },
  'operation.late': {
    meaning: 'An operation takes longer than it should',
    remedy: 'csbm operation show ID says more; csbm operation cancel ID ends a Start or a commissioning',
  },
  'alarm.recent': {
    meaning: 'There was an alarm within the last day',
    remedy: 'see csbm alarms',
  },
  'cloudstack.link': {
    meaning: 'Machines have no link to their management server',
    remedy: 'see the reason: the network to the server, its certificate, whether it runs',
  },
  'cloudstack.certificate': {
    meaning: 'The certificate towards the management servers is near its end, or cannot be used',
    remedy: 'csbm cloudstack certificate issue, or replace its files',
  },
  'listener.certificate': {
    meaning: 'The certificate of one of our own listeners is near its end',
    remedy: 'replace its files; they are read anew by themselves',
  },
  'cloudstack.api': {
    meaning: "CloudStack's HTTP API could not be asked the last time",
    remedy: 'see what it said: address, keys, certificate',
  },
  'engine.unreachable': {
    meaning: 'An upstream deploy engine does not answer',
    remedy: 'see what it said: its address, key and certificate, whether it runs',
  },
  'boot.unreachable': {
    meaning: 'The boot service does not answer at the address that machines are told',
    remedy: 'check boot.publicUrl and whatever stands before the service',
  },
  'provisioning.down': {
    meaning: 'The provisioning network is not served as it should be',
    remedy: 'csbm native doctor looks at all that it needs',
  },
  'database.slow': {
    meaning: 'The database takes long, or does not answer',
    remedy: 'check the database server, or the disk under the database file',
  },
  'disk.low': {
    meaning: 'A disk that the service writes to is nearly full',
    remedy: 'make room: old images, old backups, logs',
  },
  'key-file.open': {
    meaning: 'Others than the owner may use the key that opens the secrets',
    remedy: 'chmod 600, and consider the key known to them: rotate it',
  },
  'restore.pending': {
    meaning: 'The database is older than it was, and nobody has accepted that yet',
    remedy: 'csbm restore show, then csbm restore accept',
  },
} as const satisfies Record<string, { readonly meaning: string; readonly remedy: string }>;

export type FindingCode = keyof typeof findingCodes;

/** One thing that a person should look at. */
export interface Finding {
  readonly code: FindingCode;
  /** Machine, switch, port, listener, ...: for people. */
  readonly where: string;
  readonly what: string;
  /** Epoch milliseconds; null = nobody can tell. */
  readonly since: number | null;
  /** What the device said, or null. */
  readonly said: string | null;
  readonly remedy: string;
  /** Who withheld a port, a switch or a BMC; null = no person did. */
  readonly by: string | null;
  /** Whom it concerns, for scopes; null = the service as a whole, or the switch. */
  readonly machineId: MachineId | null;
  readonly switch: string | null;
}

type Told = Pick<Finding, 'code' | 'where' | 'what'> & Partial<Finding>;

/** A finding with what goes without saying filled in. */
export function finding(told: Told): Finding {
  return {
    since: null,
    said: null,
    by: null,
    remedy: findingCodes[told.code].remedy,
    machineId: null,
    switch: null,
    ...told,
  };
}
