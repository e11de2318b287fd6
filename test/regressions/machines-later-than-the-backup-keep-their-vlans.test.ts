import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  milliseconds,
  parseMac,
  seconds,
  type ObservedSwitch,
  type PortId,
  type VlanId,
} from '../../plugin-api/index.ts';
import { timingsSection } from '../../src/config/section/timings.ts';
import { askerOf } from '../../src/core/access/principal.ts';
import type { MachineId } from '../../src/core/machine/machine.ts';
import { SystemClock } from '../../src/kernel/clock/system-clock.ts';
import { EventBus } from '../../src/kernel/events/event-bus.ts';
import { createLog } from '../../src/kernel/log/log.ts';
import { Metrics } from '../../src/kernel/metrics/metrics.ts';
import { wantedOf } from '../../src/operations/ports/wanted.ts';
import { HistoryFile } from '../../src/operations/restore/history-file.ts';
import { RestoreMode } from '../../src/operations/restore/restore-mode.ts';
import { Survey } from '../../src/operations/survey/survey.ts';

import { machine, switchRecord } from '../store/samples.ts';
import { tempStorage } from '../support/temp-storage.ts';

const vlan = (id: number): VlanId => id as VlanId;
const te = (n: number): PortId => `TenGigabitEthernet 1/${n}` as PortId;

// A machine that was enrolled and started after the backup was nobody's: the service went to work by itself, and the next change on the
// fabric took the tenant's VLAN off the uplinks of the other switch.
it('ports of machines that came after the backup are named, and keep their VLANs on the uplinks', async () => {
  const temp = await tempStorage();
  const { storage } = temp;
  const folder = mkdtempSync(join(tmpdir(), 'csbm-later-'));
  const clock = new SystemClock();
  const log = createLog({ level: 'silent' });
  const joined = { tagged: [], admin: 'up', prepared: true, guarded: null } as const;
  /** Port 1 is wired to a NIC of no machine; port 2 not even wired; both in VLANs of ours. The other switch carries them. */
  const seen = (name: string, ports: readonly PortId[]): ObservedSwitch => {
    const inVlans = new Map(
      name === 'tor-a' ? [[te(1), vlan(301)] as const, [te(2), vlan(302)] as const] : [],
    );
    const ours = [301, 302].map((id) => {
      const members = [...inVlans].filter(([, native]) => native === id).map(([port]) => port);
      return [vlan(id), { id: vlan(id), ours: true, description: `csbm:${id}`, members }] as const;
    });
    return {
      defaultVlan: vlan(1),
      ports: new Map(
        ports.map((port) => [port, { ...joined, native: inVlans.get(port) ?? ('default' as const) }]),
      ),
      vlans: new Map(ours),
      unsaved: null,
    };
  };
  const survey = new Survey({
    storage,
    clock,
    timings: timingsSection.parse({}),
    reader: { power: async () => 'off', ports: async (name, ports) => seen(name, ports) },
    limits: {
      ...{ bmcs: 1, switches: 2, bmcTimeout: seconds(5), switchTimeout: seconds(5) },
      checkTimeout: seconds(5),
    },
    checks: [],
  });
  const mode = new RestoreMode({
    ...{ storage, clock, log, survey, metrics: new Metrics(), events: new EventBus() },
    boots: { withdraw: async () => undefined } as never,
    file: new HistoryFile(join(folder, 'history')),
    lookInterval: milliseconds(10),
  });
  try {
    const { databaseId } = await storage.run(async (tx) => {
      await tx.machines.insert(
        machine(1, { state: 'ready', power: { state: 'off', at: 1 }, quarantine: null }),
      );
      const wire = { switch: 'tor-a', port: te(1), mac: parseMac('02:00:00:00:99:01'), server: null };
      const wiredHere = machine(1).nics.map(({ mac }, i) => ({
        ...{ switch: 'tor-b', port: te(10 + i), mac, server: null },
      }));
      const both = ['tor-a', 'tor-b'].map((name) =>
        switchRecord(name, { uplinks: [te(48)], unsavedSince: null }),
      );
      await tx.racks.replace('text', both, [wire, ...wiredHere]);
      const restored = { at: 1, why: 'restored', backupAt: 1, comparedAt: null, acceptedAt: null };
      return tx.history.update({ ...(await tx.history.read()), restored });
    });
    const later = 'zzzzzz' as MachineId;
    const machines = new Map([[later, 2]]);
    new HistoryFile(join(folder, 'history')).write({ databaseId, generation: 1, starts: 1, machines });

    await mode.begin();
    assert.ok(mode.closed, 'a person must look');
    const report = await mode.report();
    assert.deepEqual(report.machines, []);
    const told = report.unknown.map(({ what }) => what).join('\n');
    assert.match(told, /2 operations began on the machine zzzzzz/);
    for (const port of [te(1), te(2)]) assert.match(told, new RegExp(`port tor-a ${port} .*no machine`));
    const by = askerOf({ name: 'anna', role: 'admin', scope: '*' } as never, 'admin', 'looked');
    await mode.accept(new Map(), by);
    for (const name of ['tor-a', 'tor-b']) {
      const at = (await storage.run((tx) => tx.racks.findSwitch(name)))!;
      const { intent } = await wantedOf(storage, at, [], seen(name, []));
      assert.deepEqual(intent.retired, [], name);
      assert.ok(intent.carried.includes(vlan(301)) && intent.carried.includes(vlan(302)), name);
    }
    assert.deepEqual((await mode.report()).unknown, []);
  } finally {
    await mode.stop();
    await temp.close();
    rmSync(folder, { recursive: true, force: true });
  }
});
