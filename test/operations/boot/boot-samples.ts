import { parseMac, type BootOrder, type Mac } from '../../../plugin-api/index.ts';
import type { Machine, MachineId } from '../../../src/core/machine/machine.ts';
import { createLog } from '../../../src/kernel/log/log.ts';
import type { AgentResult } from '../../../src/operations/boot/agent-report.ts';
import type { BootAsker } from '../../../src/operations/boot/newcomers.ts';

export const quiet = createLog({ level: 'silent' });
export const mac1 = parseMac('52:54:00:aa:00:01');
export const mac2 = parseMac('52:54:00:aa:00:02');
export const machineId = 'abc123' as MachineId;
const gib = 1024 ** 3;

/** A known machine with two NICs and one disk. */
export function machineOf(more: Partial<Machine> = {}): Machine {
  return {
    id: machineId,
    hostname: 'm1',
    state: 'ready',
    site: 'lab',
    pool: 'default',
    engine: 'native',
    wiring: 'managed',
    bmc: null,
    firmware: 'legacy',
    architecture: 'x86_64',
    cpus: 8,
    memoryBytes: 16 * gib,
    serial: 'M1',
    product: 'P',
    nics: [mac1, mac2].map((mac, index) => ({
      name: `eth${index}`,
      mac,
      linkUp: true,
      speedMbps: 10_000,
      neighbour: null,
    })),
    disks: [],
    rootDiskSerial: null,
    cloudPlace: null,
    clean: null,
    quarantine: null,
    power: null,
    createdAt: 1,
    version: 1,
    ...more,
  };
}

export const sha = 'cd'.repeat(32);

export function deployOrder(more: Partial<BootOrder> = {}): BootOrder {
  return {
    id: 'op-1:deploy',
    machineId,
    macs: [mac1, mac2],
    phase: 'deploy',
    work: {
      id: 'op-1:deploy',
      phase: 'deploy',
      image: { url: '/boot/v1/agent/image', encoding: 'raw', sha256: sha, storedBytes: 10, rawBytes: 10 },
      rootDisk: { name: 'vda', serial: 'S1', bytes: gib },
      firstBoot: {
        label: 'cidata',
        files: [{ name: 'user-data', url: '/boot/v1/agent/first-boot/user-data' }],
      },
    },
    image: 'tiny',
    firstBootFiles: { 'user-data': '#cloud-config\n{}\n' },
    ...more,
  };
}

export function commissionOrder(id = 'op-1:commission'): BootOrder {
  return {
    id,
    machineId,
    macs: [mac1, mac2],
    phase: 'commission',
    work: { id, phase: 'commission' },
    image: null,
    firstBootFiles: {},
  };
}

export function eraseOrder(): BootOrder {
  const id = 'op-1:erase';
  return {
    ...commissionOrder(id),
    phase: 'erase',
    work: { id, phase: 'erase', grade: 'full', disks: [{ name: 'vda', serial: 'S1', bytes: gib }] },
  };
}

export const askerOf = (mac: Mac, remote = '10.0.0.5'): BootAsker => ({
  mac,
  remote,
  platform: 'pcbios',
  arch: 'i386',
  serial: 'M1',
});

export const deployed: AgentResult = {
  ok: true,
  deploy: { disk: 'vda', serial: 'S1', sha256: sha, rawBytes: 10, seconds: 2 },
};

export const inventoried: AgentResult = {
  ok: true,
  inventory: {
    cpus: 4,
    memoryBytes: gib,
    architecture: 'x86_64',
    firmware: 'legacy',
    product: 'P',
    serial: 'M1',
    nics: [{ name: 'eth0', mac: mac1, linkUp: true, speedMbps: null, neighbour: null }],
    disks: [],
  },
};

export const erasedDisk = {
  name: 'vda',
  serial: 'S1',
  bytes: gib,
  grade: 'full',
  method: 'overwrite-zero',
  secureCapable: false,
  signaturesLeft: 0,
  samples: 16,
  dirtySamples: 0,
  seconds: 3,
} as const;
