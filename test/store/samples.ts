import { Secret, parseMac, parseVlanId, plainPortId, type Mac, type PortId } from '../../plugin-api/index.ts';
import type { Claim } from '../../src/core/claim/claim.ts';
import type { Deployment } from '../../src/core/claim/deployment.ts';
import type { Machine, MachineId } from '../../src/core/machine/machine.ts';
import type { Switch } from '../../src/core/rack/wiring.ts';
import type { BootRecord } from '../../src/core/storage/boot-record.ts';
import type { OperationRecord, StepRecord } from '../../src/core/storage/journal-records.ts';

export const machineId = (n: number): MachineId => `mach${String(n).padStart(2, '0')}` as MachineId;
export const mac = (n: number, nic = 0): Mac =>
  parseMac(`52540000${n.toString(16).padStart(2, '0')}${nic.toString(16).padStart(2, '0')}`);
export const port = (name: string): PortId => plainPortId(name);

/** A machine with every optional part present. */
export function machine(n: number, more: Partial<Machine> = {}): Machine {
  return {
    id: machineId(n),
    hostname: `node-${n}`,
    state: 'ready',
    site: 'lab',
    pool: 'default',
    engine: 'native',
    wiring: 'managed',
    bmc: {
      driver: 'ipmi',
      host: `10.0.0.${n}`,
      port: 623,
      username: 'root',
      password: new Secret(`bmc-password-${n}`),
      kg: new Secret(`bmc-kg-${n}`),
      privilege: 'operator',
      minSuite: 3,
      knownSuite: 17,
    },
    firmware: 'efi',
    architecture: 'x86_64',
    cpus: 32,
    memoryBytes: 2 ** 40,
    serial: `SER${n}`,
    product: 'R640',
    nics: [
      { name: 'eno1', mac: mac(n, 0), linkUp: true, speedMbps: 10_000, neighbour: 'tor-a te1/1' },
      { name: 'eno2', mac: mac(n, 1), linkUp: false, speedMbps: null, neighbour: null },
    ],
    disks: [
      {
        name: 'sda',
        model: 'A',
        serial: 'D1',
        bytes: 480e9,
        rotational: false,
        removable: false,
        readOnly: false,
      },
      {
        name: 'sdb',
        model: 'B',
        serial: 'D1',
        bytes: 4e12,
        rotational: true,
        removable: true,
        readOnly: true,
      },
    ],
    rootDiskSerial: 'D1',
    cloudPlace: {
      cloud: 'acme',
      zone: 'z1',
      pod: 'p1',
      cluster: 'c1',
      guid: `guid-${n}`,
      hostId: '17',
      hostTag: 'metal',
    },
    clean: {
      grade: 'secure',
      at: 5,
      evidence: { summary: 'erased', verified: true, data: { disks: ['D1'] } },
    },
    quarantine: { code: 'operation.fenced', reason: 'power unknown', fenced: true, since: 6 },
    power: { state: 'off', at: 7 },
    createdAt: 1_760_000_000_000,
    version: 0,
    ...more,
  };
}

export function claim(n: number, externalId = `acme/i-2-${n}-VM`): Claim {
  return {
    machineId: machineId(n),
    holder: 'instance',
    externalId,
    owner: 'admin',
    instanceUuid: null,
    since: 1,
    version: 0,
  };
}

export function deployment(n: number, more: Partial<Deployment> = {}): Deployment {
  return {
    id: `op-${n}`,
    machineId: machineId(n),
    externalId: `acme/i-2-${n}-VM`,
    image: 'debian-12',
    nicPlan: [{ kind: 'nic', name: 'eno1', hardware: mac(n), mac: mac(n), dhcp: true }],
    firstBoot: {
      instanceId: 'i-1',
      hostname: 'web',
      sshKeys: ['ssh-ed25519 AAAA'],
      userData: 'user-data-text',
    },
    network: {
      native: parseVlanId(100),
      tagged: [parseVlanId(200)],
      ports: [{ switch: 'tor-a', port: port('p1') }],
      parked: [],
    },
    state: 'installing',
    evidence: null,
    createdAt: 1,
    endedAt: null,
    version: 0,
    ...more,
  };
}

export function switchRecord(name: string, more: Partial<Switch> = {}): Switch {
  return {
    name,
    fabric: 'rack-1',
    type: 'Force10',
    transport: 'ssh',
    host: '10.1.0.1',
    tcpPort: 22,
    username: 'admin',
    password: new Secret('switch-password'),
    enablePassword: new Secret('enable-password'),
    hostKeyPin: null,
    legacyCrypto: true,
    uplinks: [port('up1')],
    provisioning: 'default-vlan',
    park: 'shut',
    defaultVlan: null,
    unsavedSince: null,
    version: 0,
    ...more,
  };
}

export function operation(id: string, n: number, more: Partial<OperationRecord> = {}): OperationRecord {
  return {
    id,
    machineId: machineId(n),
    kind: 'start',
    listVersion: 1,
    state: 'running',
    joinKey: `acme/i-2-${n}-VM`,
    input: { userData: 'input-user-data' },
    context: { found: ['context-text'] },
    requester: { principal: 'acme', door: 'cloudstack-agent', reason: 'StartCommand' },
    createdAt: 10,
    deadlineAt: 1000,
    endedAt: null,
    cancel: null,
    error: null,
    undoError: null,
    result: null,
    leaseOwner: null,
    fence: 0,
    timeLeft: 60_000,
    ...more,
  };
}

export function step(operationId: string, seq: number, more: Partial<StepRecord> = {}): StepRecord {
  return {
    operationId,
    seq,
    name: 'power-off',
    kind: 'checkable',
    direction: 'do',
    attempt: 1,
    state: 'intent',
    startedAt: 11,
    endedAt: null,
    progress: null,
    evidence: null,
    error: null,
    ...more,
  };
}

export function boot(id: string, n: number, more: Partial<BootRecord> = {}): BootRecord {
  return {
    order: {
      id,
      machineId: machineId(n),
      macs: [mac(n, 0), mac(n, 1)],
      phase: 'deploy',
      work: { secret: 'boot-work-text' },
      image: 'debian-12',
      firstBootFiles: { 'user-data': 'boot-user-data' },
    },
    state: 'placed',
    tokenHash: null,
    armedAt: null,
    asker: null,
    activity: '',
    percent: null,
    lastSeen: null,
    evidence: null,
    inventory: null,
    error: null,
    version: 0,
    ...more,
  };
}
