import { CodedError, type ErrorParts, type Retry } from '../../../plugin-api/index.ts';

/**
 * The service's own failures; the devices' are in `plugin-api/device-error.ts`. `docs/failures.md` is generated from both.
 */
export const serviceCodes = {
  'value.mac': { retry: 'never', meaning: 'A MAC address is misspelt', remedy: 'write six bytes in hex' },
  'value.vlan': {
    retry: 'never',
    meaning: 'A VLAN id is out of range',
    remedy: 'use a whole number from 1 to 4094',
  },
  'value.port': {
    retry: 'never',
    meaning: 'A port name is misspelt',
    remedy: 'write it as the switch prints it',
  },
  'config.invalid': {
    retry: 'operator',
    meaning: 'The configuration file has an error',
    remedy: 'see the named line',
  },
  'rack.invalid': { retry: 'operator', meaning: 'The rack config has errors', remedy: 'see each named line' },
  'secret.unresolved': {
    retry: 'operator',
    meaning: 'A secret that a configuration refers to cannot be read',
    remedy: 'set the environment variable, or make the file readable for the service',
  },
  'rack.in-use': {
    retry: 'operator',
    meaning: 'The upload would move or drop ports of machines in use',
    remedy: 'release the named machines first',
  },
  'request.invalid': { retry: 'never', meaning: 'The request is malformed', remedy: 'see what was wrong' },
  'request.unsupported': {
    retry: 'never',
    meaning: 'A physical server cannot do this',
    remedy: 'none',
  },
  'request.unauthenticated': {
    retry: 'never',
    meaning: 'No valid credentials',
    remedy: 'send a valid token',
  },
  'request.forbidden': {
    retry: 'never',
    meaning: 'The principal may not do this',
    remedy: 'ask an administrator for the role',
  },
  'access.scope': {
    retry: 'never',
    meaning: 'What was asked for lies outside the scope of the principal',
    remedy: 'ask an administrator for the scope',
  },
  'access.throttled': {
    retry: 'later',
    meaning: 'Too many wrong credentials came from this address',
    remedy: 'correct the token, and try again in a minute',
  },
  'request.too-many': {
    retry: 'later',
    meaning: 'The principal, or the machine, asks more often than anybody needs to',
    remedy: 'ask less often, or raise `limits.requestsPerSecond`',
  },
  'service.overloaded': {
    retry: 'later',
    meaning: 'The service holds as many unfinished requests as it has memory for',
    remedy: 'try again in a moment; if it stays so, see who sends so much: docs/hardening.md',
  },
  'access.last-admin': {
    retry: 'never',
    meaning: 'Without this principal nobody could administer the service',
    remedy: 'make another administrator first',
  },
  'access.exists': {
    retry: 'never',
    meaning: 'The name is already that of another principal',
    remedy: 'choose another name',
  },
  'access.in-use': {
    retry: 'operator',
    meaning: 'The principal still holds machines',
    remedy: 'release them first',
  },
  'request.not-found': { retry: 'never', meaning: 'There is no such thing', remedy: 'check the name' },
  'machine.unknown': { retry: 'never', meaning: 'No such machine', remedy: 'enrol it first' },
  'machine.ambiguous': {
    retry: 'operator',
    meaning: 'The request points at two machines',
    remedy: 'correct the BMC address or the MACs',
  },
  'machine.state': {
    retry: 'later',
    meaning: 'The machine is not in a state for this',
    remedy: 'see its state and wait, or act on it',
  },
  'machine.quarantined': {
    retry: 'operator',
    meaning: 'The machine is withheld, or a device that it needs is in quarantine',
    remedy: 'see the reason; lift the quarantine when it is cured',
  },
  'quarantine.by-person': {
    retry: 'operator',
    meaning: 'Somebody put a switch, a port or a BMC into quarantine',
    remedy: 'see who and why: csbm quarantine show; csbm quarantine lift ends it',
  },
  'machine.locked': {
    retry: 'never',
    meaning: 'The machine is locked against a release by mistake',
    remedy: 'unlock it first',
  },
  'machine.no-evidence': {
    retry: 'operator',
    meaning: 'The machine has no clean-disk evidence',
    remedy: 'erase it, or accept it explicitly at enrolment',
  },
  'pool.door': {
    retry: 'never',
    meaning: 'The machine is not handed out through this door',
    remedy: 'take a machine of another pool, or change the doors of its pool',
  },
  'pool.in-use': {
    retry: 'never',
    meaning: 'Machines are in the pool',
    remedy: 'put them into another pool first',
  },
  'pool.exists': {
    retry: 'never',
    meaning: 'Another pool has the name',
    remedy: 'choose another name',
  },
  'claim.machine-taken': {
    retry: 'later',
    meaning: 'Another instance holds the machine',
    remedy: 'stop or destroy that instance first',
  },
  'claim.instance-elsewhere': {
    retry: 'later',
    meaning: 'The instance holds another machine',
    remedy: 'wait until that one is proven off',
  },
  'claim.not-held': {
    retry: 'never',
    meaning: 'The machine is held by somebody else, or by nobody',
    remedy: 'act on a machine that you hold; allocate it first',
  },
  'claim.unknown-instance': {
    retry: 'operator',
    meaning: 'The instance claims to have run before, but is not known here',
    remedy: 'an operator must decide; it is never reinstalled',
  },
  'image.no-match': {
    retry: 'never',
    meaning: 'No image matches the template exactly',
    remedy: 'add an image, or an alias in the template map',
  },
  'image.ambiguous': {
    retry: 'never',
    meaning: 'The template matches more than one image',
    remedy: 'make the template map exact',
  },
  'image.exists': {
    retry: 'never',
    meaning: 'The name or an alias is already that of another image',
    remedy: 'remove that image first, or choose another name',
  },
  'image.in-use': {
    retry: 'later',
    meaning: 'A deployment in progress needs the image',
    remedy: 'wait for the named deployments',
  },
  'image.format': {
    retry: 'never',
    meaning: 'The file is not an image that can be streamed to a disk',
    remedy: 'upload a raw disk image, as it is or compressed by gzip or zstd; or a qcow2, VMDK or VHD file',
  },
  'image.storage': {
    retry: 'operator',
    meaning: 'The image file cannot be stored or read',
    remedy: 'check free space and permissions of the images folder',
  },
  'image.checksum': {
    retry: 'later',
    meaning: 'The image file that came is not the one whose checksum was given',
    remedy: 'compare with sha256sum, download it again where it is wrong, and upload it again',
  },
  'image.conversion': {
    retry: 'operator',
    meaning: 'A virtual disk could not be converted here',
    remedy: 'see what was wrong, or convert the image before the upload',
  },
  'network.no-default-nic': {
    retry: 'never',
    meaning: 'The instance has no default NIC',
    remedy: 'mark one NIC as default in CloudStack',
  },
  'network.default-nic': {
    retry: 'never',
    meaning: 'The default NIC can be neither plugged nor unplugged',
    remedy: 'stop the instance and change its default network in CloudStack',
  },
  'network.vlan-uri': {
    retry: 'never',
    meaning: 'A broadcast URI is not a VLAN that can be served',
    remedy: 'use networks with vlan://1 to 4094',
  },
  'network.reserved-vlan': {
    retry: 'never',
    meaning: 'The VLAN is the provisioning, park or default VLAN',
    remedy: 'use another VLAN for tenants',
  },
  'network.foreign-vlan': {
    retry: 'never',
    meaning:
      'A VLAN is in use by the other kind of tenant: an instance of CloudStack there, a user here, or the other way round',
    remedy: 'give users VLANs that CloudStack does not hand out in the same fabric',
  },
  'network.interfaces': {
    retry: 'never',
    meaning: 'The interfaces of the machine cannot be carried as they are',
    remedy: 'change the named interface',
  },
  'network.provisioning-stay': {
    retry: 'never',
    meaning: 'A deployed machine would stay on the provisioning network, where everybody can speak with it',
    remedy:
      'put its interface into a VLAN of its own, or let the pool be trusted: csbm pool set NAME --trusted',
  },
  'wiring.none': {
    retry: 'operator',
    meaning: 'No MAC of the machine is in the rack config',
    remedy: 'add its ports to the rack config, or declare wiring none',
  },
  'wiring.uplink': {
    retry: 'operator',
    meaning: 'A switch of the machine has no uplink that could carry the VLAN',
    remedy: 'add "uplinks" to the switch in the rack config',
  },
  'wiring.fabric': {
    retry: 'operator',
    meaning: "The machine's ports are on switches of different fabrics",
    remedy: 'correct the rack config',
  },
  'operation.conflict': {
    retry: 'later',
    meaning: 'Another operation runs on the machine',
    remedy: 'wait for it',
  },
  'operation.cancelled': { retry: 'later', meaning: 'The operation was cancelled', remedy: 'see who asked' },
  'operation.deadline': {
    retry: 'later',
    meaning: 'The operation ran out of time',
    remedy: 'see which step was slow; raise the wait in CloudStack',
  },
  'operation.unknown-outcome': {
    retry: 'operator',
    meaning: 'A step that must not be repeated was cut off',
    remedy: 'look at the machine and decide',
  },
  'operation.erasing': {
    retry: 'later',
    meaning: 'The machine is being erased',
    remedy: 'wait for the erase',
  },
  'operation.undo-failed': {
    retry: 'operator',
    meaning: 'The operation failed, and so did its undo; the machine is quarantined',
    remedy: 'see both reasons',
  },
  'operation.fenced': {
    retry: 'operator',
    meaning: 'Power off could not be confirmed; the ports are shut instead',
    remedy: "check the machine's power, then lift the quarantine",
  },
  'operation.lease-lost': {
    retry: 'later',
    meaning: 'Another instance of the service took the operation over',
    remedy: 'none needed',
  },
  'instance.gone': {
    retry: 'later',
    meaning: 'The other instances took this one for dead and took its work over',
    remedy: 'see why it was silent for timings.leaseTtl, then start it again',
  },
  'instance.silent': {
    retry: 'later',
    meaning: 'The instance has not reached the database for a while, and others may have taken its work over',
    remedy: 'check the database, and whether the process was starved',
  },
  'instance.elsewhere': {
    retry: 'later',
    meaning: 'Another instance of the service holds the machine',
    remedy: 'ask the named instance',
  },
  'instance.stopping': {
    retry: 'later',
    meaning: 'The instance is giving its work to the others, or stops',
    remedy: 'ask another instance, or wait until it is back',
  },
  'boot.refused': {
    retry: 'never',
    meaning: 'The boot service has nothing for this asker',
    remedy: 'none needed unless the machine should boot',
  },
  'store.conflict': {
    retry: 'later',
    meaning: 'Somebody else changed the row meanwhile',
    remedy: 'read again',
  },
  'store.locked': {
    retry: 'operator',
    meaning: 'Another process uses the same database file',
    remedy: 'stop it; one process per SQLite file',
  },
  'store.unavailable': {
    retry: 'later',
    meaning: 'The database does not answer',
    remedy: 'check the database',
  },
  'store.outcome-unknown': {
    retry: 'later',
    meaning: 'The connection to the database broke while a change was being stored: it may be stored or not',
    remedy: 'look whether it is there before asking for it again',
  },
  'restore.pending': {
    retry: 'later',
    meaning: 'The database is an older state than it was, and nobody has accepted that yet',
    remedy: 'see the differences (csbm restore show), then csbm restore accept',
  },
  'restore.difference': {
    retry: 'operator',
    meaning: 'After a restore the machine was not as the database says',
    remedy: 'look at the machine; then lift the quarantine, destroy what runs there, or erase it',
  },
  'restore.not-resumed': {
    retry: 'never',
    meaning: 'The operation was under way in a database that was restored, and is not gone on with',
    remedy: 'look at the machine, then ask for it again',
  },
  'backup.broken': {
    retry: 'never',
    meaning: 'The file is no backup, or it is not whole',
    remedy: 'use another backup',
  },
  'backup.newer': {
    retry: 'operator',
    meaning: 'The backup is of a newer version of csbm',
    remedy: 'restore it with that version',
  },
  'backup.exists': {
    retry: 'never',
    meaning: 'There is something already where the file would be',
    remedy: 'choose another name',
  },
  'store.secret': {
    retry: 'operator',
    meaning: 'A stored secret cannot be decrypted',
    remedy: 'restore the key file that belongs to this database',
  },
  'agent.frame': {
    retry: 'never',
    meaning: 'A frame of the agent protocol is malformed',
    remedy: 'see what was wrong',
  },
  'agent.unreachable': {
    retry: 'later',
    meaning: 'The management server cannot be reached, or fell silent',
    remedy: 'check its address, port 8250 and the path to it; the next server of the list is tried',
  },
  'agent.handshake': {
    retry: 'later',
    meaning: 'The TLS handshake with the management server failed',
    remedy:
      "see what it said; with strict authentication our client certificate must name this service's address",
  },
  'agent.certificate': {
    retry: 'operator',
    meaning: 'The management server shows another certificate than the pinned one',
    remedy: 'find out why before changing the pin',
  },
  'agent.identity': {
    retry: 'operator',
    meaning: 'Our client certificate, its key or the pinned CA certificate cannot be used',
    remedy: 'see what is wrong with it; docs/cloudstack.md tells how to renew it',
  },
  'agent.removed': {
    retry: 'operator',
    meaning: 'CloudStack removed the host; its place there was forgotten here, the machine is as it was',
    remedy: 'enrol the machine with its place again if it shall be a host again',
  },
  'agent.refused': {
    retry: 'later',
    meaning: 'The management server refused the host',
    remedy: 'see what it said',
  },
  'cloudstack.unreachable': {
    retry: 'later',
    meaning: "CloudStack's HTTP API gives no answer",
    remedy: 'check cloudstack.api.url, caFile and the path to it',
  },
  'cloudstack.credentials': {
    retry: 'operator',
    meaning: "CloudStack's HTTP API does not accept the keys, or not for this command",
    remedy: "check cloudstack.api.apiKey and secretKey, the clock, and the user's role",
  },
  'cloudstack.refused': {
    retry: 'operator',
    meaning: "CloudStack's HTTP API refused a request",
    remedy: 'see what it said',
  },
  'cloudstack.answer': {
    retry: 'later',
    meaning: "An answer of CloudStack's HTTP API cannot be understood, or is not complete",
    remedy: 'check that cloudstack.api.url is the API itself (…/client/api)',
  },
  'cloudstack.instance-gone': {
    retry: 'operator',
    meaning: 'CloudStack has expunged an instance that still holds a machine here',
    remedy: 'check it there, then csbm machine destroy, or set cloudstack.reconcile.destroy',
  },
  'cloudstack.too-many-gone': {
    retry: 'operator',
    meaning: 'So many instances look expunged at once that none of their machines is touched',
    remedy: 'find out whether CloudStack really expunged them, then csbm machine destroy',
  },
  'service.untrusted': {
    retry: 'operator',
    meaning: 'The service shows a certificate that is not trusted',
    remedy:
      'name the CA that issued it: --ca FILE or CSBM_CA; and call the service by a name in the certificate',
  },
  'service.unreachable': {
    retry: 'later',
    meaning: 'The service does not answer',
    remedy: 'start it (csbm serve), or say where it is: --url or CSBM_URL',
  },
  'cli.usage': {
    retry: 'never',
    meaning: 'The command line is wrong; nothing was done',
    remedy: 'add --help to the verb',
  },
  'cli.failed': {
    retry: 'never',
    meaning: 'A command that works without the service failed',
    remedy: 'see what it said',
  },
  'internal.bug': { retry: 'operator', meaning: 'A fault of this service', remedy: 'report it with the log' },
} as const satisfies Record<string, { retry: Retry; meaning: string; remedy: string }>;

export type ServiceCode = keyof typeof serviceCodes;

/** A failure that the service itself finds. Retry class and remedy come from the code unless given. */
export class ServiceError extends CodedError {
  declare readonly code: ServiceCode;

  constructor(
    parts: Omit<ErrorParts, 'code' | 'retry'> & { readonly code: ServiceCode; readonly retry?: Retry },
  ) {
    super({
      ...parts,
      retry: parts.retry ?? serviceCodes[parts.code].retry,
      remedy: parts.remedy ?? serviceCodes[parts.code].remedy,
    });
  }
}

/** Any thrown thing as a coded error; what is not one becomes `internal.bug` and keeps its cause. */
export function asCodedError(thrown: unknown): CodedError {
  if (thrown instanceof CodedError) return thrown;
  const what =
    thrown instanceof Error ? `unexpected ${thrown.name}: ${thrown.message}` : `unexpected ${typeof thrown}`;
  return new ServiceError({ code: 'internal.bug', what, cause: thrown });
}
