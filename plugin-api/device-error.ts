import { CodedError, type ErrorParts, type Retry } from './coded-error.ts';

/**
 * The failures a driver may report, with the retry class each has by nature. Operations decide by these, never by texts.
 * `docs/failures.md` is generated from this table and the service's own (`src/kernel/errors`).
 */
export const deviceCodes = {
  'power.unreachable': {
    retry: 'later',
    meaning: 'The BMC does not answer',
    remedy: 'check cabling, address, UDP port 623, and that IPMI over LAN is enabled on the BMC',
  },
  'power.auth': {
    retry: 'operator',
    meaning: 'The BMC refused the user or password',
    remedy: 'correct the BMC user and password; it is not tried again, because BMCs lock out',
  },
  'power.privilege': {
    retry: 'operator',
    meaning: 'The BMC user may not do this',
    remedy: 'give the user the operator privilege on the LAN channel',
  },
  'power.suite': {
    retry: 'operator',
    meaning: 'No acceptable cipher suite, or the BMC fell back to a weaker one than before',
    remedy: 'enable cipher suite 17, or set minSuite: 3 for this BMC',
  },
  'power.busy': {
    retry: 'later',
    meaning: 'The BMC is busy, starting, or has no free session',
    remedy: 'wait; close other sessions to this BMC',
  },
  'power.refused': {
    retry: 'never',
    meaning: 'The BMC refused the command',
    remedy: 'see what the BMC said',
  },
  'power.unconfirmed': {
    retry: 'later',
    meaning: 'The BMC accepted a power command, but the power state never followed',
    remedy: 'look at the machine; its power is not what was asked for',
  },
  'power.protocol': {
    retry: 'later',
    meaning: 'The BMC sent something that is not IPMI',
    remedy: 'report it with the BMC model and firmware',
  },
  'power.outcome-unknown': {
    retry: 'operator',
    meaning: 'A command that must not be repeated got no answer',
    remedy: 'read the power state and decide',
  },
  'switch.unreachable': {
    retry: 'later',
    meaning: 'The switch does not answer',
    remedy: 'check address, port and transport in the rack config',
  },
  'switch.transport': {
    retry: 'operator',
    meaning: 'The transport that the rack config names is not available for this switch type',
    remedy: 'set "transport" to one that the switch type supports',
  },
  'switch.auth': {
    retry: 'operator',
    meaning: 'The switch refused the user, password or enable password',
    remedy: 'correct the credentials in the rack config',
  },
  'switch.host-key': {
    retry: 'operator',
    meaning: 'The switch shows another host key than the pinned one',
    remedy: 'find out why before changing the pin',
  },
  'switch.crypto': {
    retry: 'operator',
    meaning: 'No common SSH algorithm',
    remedy: 'set legacyCrypto: true for this switch if it is that old',
  },
  'switch.session-lost': {
    retry: 'later',
    meaning: 'The session to the switch broke',
    remedy: 'the state is read again before anything is repeated',
  },
  'switch.timeout': {
    retry: 'later',
    meaning: 'The switch did not answer in time',
    remedy: 'look at the switch; the state is read again before anything is repeated',
  },
  'switch.locked': {
    retry: 'later',
    meaning: 'Somebody else holds the configuration lock',
    remedy: 'wait, or end the session that the switch names',
  },
  'switch.refused': {
    retry: 'never',
    meaning: 'The switch refused a command',
    remedy: 'see what the switch said',
  },
  'switch.unprepared': {
    retry: 'operator',
    meaning: 'The port is not prepared for untagged and tagged VLANs',
    remedy: 'prepare the port as the page of its switch type tells (docs/switch-os9.md, docs/switch-ovs.md)',
  },
  'switch.port-unknown': {
    retry: 'operator',
    meaning: 'The switch has no such port',
    remedy: 'correct the port in the rack config',
  },
  'switch.port-guarded': {
    retry: 'operator',
    meaning: 'The port is an uplink, a LAG member or routed, and is left alone',
    remedy: 'correct the rack config',
  },
  'switch.vlan-guarded': {
    retry: 'operator',
    meaning: 'The VLAN is routed, or otherwise not ours to change',
    remedy: 'use another VLAN',
  },
  'switch.not-verified': {
    retry: 'later',
    meaning: 'What the switch shows after the change is not what was asked for',
    remedy: 'see the difference; another administrator may be editing',
  },
  'switch.unsaved': {
    retry: 'later',
    meaning: 'The change is active but could not be saved',
    remedy: 'free space on the switch; a reload now would lose the change',
  },
  'switch.protocol': {
    retry: 'operator',
    meaning: 'The switch does not talk like its type',
    remedy: 'check "type" in the rack config',
  },
  'deploy.image-unknown': {
    retry: 'never',
    meaning: 'The deploy engine has no such image',
    remedy: 'add the image or correct the template map',
  },
  'deploy.agent-failed': {
    retry: 'later',
    meaning: 'The machine reported a failure while installing or erasing',
    remedy: 'see what the agent said',
  },
  'deploy.checksum': {
    retry: 'later',
    meaning: 'The image on the wire did not have the expected checksum',
    remedy: 'check the image file; the disk was left unbootable',
  },
  'deploy.no-disk': {
    retry: 'operator',
    meaning: 'No disk of the machine fits the order',
    remedy: 'compare the inventory with the root disk hint',
  },
  'deploy.disk-missing': {
    retry: 'operator',
    meaning: 'A disk of the inventory was not there at the erase',
    remedy: "find the disk; it may hold a tenant's data",
  },
  'deploy.erase-unproven': {
    retry: 'operator',
    meaning: 'The erase left no evidence of the chosen grade',
    remedy: 'see the erase report; erase again or choose another grade',
  },
  'deploy.never-booted': {
    retry: 'later',
    meaning: 'The machine was powered on but never asked for its boot',
    remedy: 'check provisioning network, DHCP, boot order',
  },
  'deploy.stalled': {
    retry: 'later',
    meaning: 'The machine stopped reporting',
    remedy: 'look at its console',
  },
  'deploy.second-asker': {
    retry: 'later',
    meaning: "Two askers wanted the same machine's boot order; neither is trusted",
    remedy: 'find who else asks on the provisioning network',
  },
  'maas.unreachable': {
    retry: 'later',
    meaning: 'The upstream MAAS does not answer, or fails',
    remedy: 'check address, TLS and the state of MAAS; the machine is looked up before anything is repeated',
  },
  'maas.busy': {
    retry: 'later',
    meaning: 'The upstream MAAS cannot do it now',
    remedy: 'wait; see what MAAS said',
  },
  'maas.credentials': {
    retry: 'operator',
    meaning: 'The upstream MAAS refused the API key, or its user may not do that',
    remedy: 'give the service the key of an administrator of that MAAS',
  },
  'maas.refused': {
    retry: 'never',
    meaning: 'The upstream MAAS refused a call',
    remedy: 'see what MAAS said',
  },
  'maas.state': {
    retry: 'operator',
    meaning: 'The machine is in a state in MAAS in which this cannot be done',
    remedy: 'look at the machine in MAAS; it may have been changed there',
  },
  'maas.answer': {
    retry: 'operator',
    meaning: 'What answers at the address of the upstream MAAS does not answer like MAAS',
    remedy: 'check the address, and the version of MAAS',
  },
  'maas.machine-taken': {
    retry: 'operator',
    meaning: 'Somebody else holds the machine in MAAS',
    remedy: 'release it in MAAS, or enrol another machine',
  },
  'maas.machine-ambiguous': {
    retry: 'operator',
    meaning: 'The NICs or the BMC of one machine belong to more than one in MAAS',
    remedy: 'correct the enrolment, or the machines in MAAS',
  },
  'maas.machine-lost': {
    retry: 'operator',
    meaning: 'The machine was removed, released or ordered anew in MAAS behind our back',
    remedy: 'find out who did it; erase the machine before it is used again',
  },
} as const satisfies Record<string, { retry: Retry; meaning: string; remedy: string }>;

export type DeviceCode = keyof typeof deviceCodes;

/** A failure of a device, or on the way to it. Retry class and remedy come from the code unless given. */
export class DeviceError extends CodedError {
  declare readonly code: DeviceCode;

  constructor(
    parts: Omit<ErrorParts, 'code' | 'retry'> & { readonly code: DeviceCode; readonly retry?: Retry },
  ) {
    super({
      ...parts,
      retry: parts.retry ?? deviceCodes[parts.code].retry,
      remedy: parts.remedy ?? deviceCodes[parts.code].remedy,
    });
  }
}
