import {
  milliseconds,
  parseMac,
  parseVlanId,
  Secret,
  type Clock,
  type DeployEngine,
  type JsonObject,
  type NicPlan,
  type OrderNotes,
  type PhaseOrder,
} from '../../../../plugin-api/index.ts';
import { createMaasEngine } from '../../../../src/drivers/deploy/maas/maas-engine.ts';
import { maasSettings, type MaasSettings } from '../../../../src/drivers/deploy/maas/maas-settings.ts';
import { noCloudFiles } from '../../../../src/drivers/deploy/native/nocloud.ts';
import { SystemClock } from '../../../../src/kernel/clock/system-clock.ts';
import { apiKey } from './scripted-maas.ts';

export const hw1 = parseMac('52:54:00:11:22:33');
export const hw2 = parseMac('52:54:00:11:22:34');
export const tenantMac = parseMac('02:00:11:22:33:44');

export const bondPlan: NicPlan = [
  { kind: 'bond', name: 'bond0', mode: 'active-backup', members: [hw1, hw2], mac: tenantMac, dhcp: true },
  {
    kind: 'vlan',
    name: 'vlan200',
    link: 'bond0',
    vlan: parseVlanId(200),
    mac: parseMac('1e:00:00:00:00:02'),
    dhcp: true,
  },
];
export const singlePlan: NicPlan = [{ kind: 'nic', name: 'nic0', hardware: hw1, mac: tenantMac, dhcp: true }];

const base = { machineId: 'abc123', hostname: 'rack1-m1', macs: [hw1, hw2] };

export const bmcPassword = 'bmc-pass-geheim';

export function commissionOrder(
  more: Partial<Extract<PhaseOrder, { phase: 'commission' }>> = {},
): Extract<PhaseOrder, { phase: 'commission' }> {
  return {
    ...base,
    id: 'op-1:commission',
    phase: 'commission',
    bmc: { host: '10.0.0.9', port: 623, username: 'ipmi', password: new Secret(bmcPassword), minSuite: 17 },
    architecture: 'x86_64',
    firmware: 'efi',
    ...more,
  };
}

export function deployOrder(
  more: Partial<Extract<PhaseOrder, { phase: 'deploy' }>> = {},
): Extract<PhaseOrder, { phase: 'deploy' }> {
  return {
    ...base,
    id: 'op-2:deploy',
    phase: 'deploy',
    image: 'ubuntu/jammy',
    nicPlan: bondPlan,
    firstBoot: {
      instanceId: 'i-2-77-1',
      hostname: 'web1',
      sshKeys: ['ssh-ed25519 AAAA a@b'],
      userData: '#!/bin/sh\necho tenant\n',
    },
    rootDisk: {},
    disks: [],
    tags: ['accountid_1234'],
    ...more,
  };
}

export function eraseOrder(
  more: Partial<Extract<PhaseOrder, { phase: 'erase' }>> = {},
): Extract<PhaseOrder, { phase: 'erase' }> {
  return { ...base, id: 'op-3:erase', phase: 'erase', grade: 'secure', disks: [], ...more };
}

export class MemoryNotes implements OrderNotes {
  readonly kept = new Map<string, JsonObject>();

  async get(orderId: string): Promise<JsonObject | null> {
    return this.kept.get(orderId) ?? null;
  }

  async put(orderId: string, _machineId: string, note: JsonObject): Promise<void> {
    // As it comes back from a database.
    this.kept.set(orderId, JSON.parse(JSON.stringify(note)) as JsonObject);
  }

  async remove(orderId: string): Promise<void> {
    this.kept.delete(orderId);
  }
}

/** Settings that make every wait short. */
export function quickSettings(url: string, more: Partial<MaasSettings> = {}): MaasSettings {
  const written = maasSettings(
    'default',
    { endpoint: url, apiKey: 'env:KEY' },
    { env: { KEY: apiKey }, readFile: () => '' },
  );
  return {
    ...written,
    requestTimeout: milliseconds(5_000),
    retryDelay: milliseconds(1),
    pollInterval: milliseconds(1),
    pollMax: milliseconds(2),
    grace: milliseconds(60_000),
    ...more,
  };
}

/** A clock whose time of day can be moved; waits are real and short. */
export class ShiftedClock extends SystemClock {
  shift = 0;

  override now(): number {
    return super.now() + this.shift;
  }

  override monotonic(): number {
    return super.monotonic() + this.shift;
  }
}

export interface EngineFixture {
  readonly engine: DeployEngine;
  readonly notes: MemoryNotes;
  readonly clock: ShiftedClock;
  readonly log: string[];
}

export function engineFor(
  url: string,
  more: Partial<MaasSettings> = {},
  notes = new MemoryNotes(),
  clock: ShiftedClock = new ShiftedClock(),
): EngineFixture {
  const log: string[] = [];
  const host = {
    clock: clock as Clock,
    log: (level: string, message: string, fields?: unknown) =>
      void log.push(`${level} ${message} ${JSON.stringify(fields)}`),
    notes,
    firstBootFiles: noCloudFiles,
  };
  return { engine: createMaasEngine(host, quickSettings(url, more)), notes, clock, log };
}
