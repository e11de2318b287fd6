import assert from 'node:assert/strict';
import fc from 'fast-check';
import { Os9Model, Os9Refusal } from '../../../lab/switch/index.ts';
import type { Os9Change, Os9Knobs } from '../../../lab/switch/index.ts';
import { ManualClock } from '../../../src/kernel/clock/manual-clock.ts';

const te = (n: number): string => `TenGigabitEthernet 1/${n}`;

/** Three ports: 1/1 hybrid, 1/2 plain layer 2, 1/3 in no mode; all enabled. VLANs 100 and 200. */
function makeModel(knobs: Partial<Os9Knobs> = {}, defaultVlan: number | null = 1): Os9Model {
  const model = new Os9Model({
    hostname: 'tor-a',
    ports: ['Te 1/1', 'Te 1/2', 'Te 1/3'],
    clock: new ManualClock(),
    defaultVlan,
    knobs,
  });
  model.setHybrid(te(1), true, 'test');
  for (const n of [1, 2]) model.setSwitchport(te(n), true, 'test');
  for (const n of [1, 2, 3]) model.setPort(te(n), { shutdown: false }, 'test');
  model.ensureVlan(100, 'test');
  model.ensureVlan(200, 'test');
  return model;
}

const refusal = (text: RegExp) => (error: unknown) => error instanceof Os9Refusal && text.test(error.message);

describe('lab switch: model', () => {
  describe('membership', () => {
    it('a switchport starts untagged in the default VLAN, a port in no mode nowhere', () => {
      const model = makeModel();
      assert.deepEqual(model.effective('Te 1/1'), { native: 1, tagged: [], up: true });
      assert.deepEqual(model.effective('Te 1/3'), { native: null, tagged: [], up: true });
      assert.deepEqual(model.effective('Te 9/9'), { native: null, tagged: [], up: false });
    });

    it('untagged takes the port out of the default VLAN; no untagged puts it back', () => {
      const model = makeModel();
      model.addUntagged(100, te(1), 'test');
      assert.equal(model.effective(te(1)).native, 100);
      assert.deepEqual(model.membersOf(1).untagged, [te(2)]);
      model.removeUntagged(100, te(1), 'test');
      assert.equal(model.effective(te(1)).native, 1);
    });

    it('with default-vlan disable a port without VLAN carries nothing', () => {
      const model = makeModel({}, null);
      assert.equal(model.effective(te(1)).native, null);
      model.addUntagged(100, te(1), 'test');
      model.removeUntagged(100, te(1), 'test');
      assert.equal(model.effective(te(1)).native, null);
    });

    it('a hybrid port takes untagged and tagged, a plain one either', () => {
      const model = makeModel();
      model.addTagged(200, te(1), 'test');
      model.addUntagged(100, te(1), 'test');
      assert.deepEqual(model.effective(te(1)), { native: 100, tagged: [200], up: true });
      model.addTagged(200, te(2), 'test');
      assert.deepEqual(model.effective(te(2)), { native: null, tagged: [200], up: true });
      assert.throws(() => model.addUntagged(100, te(2), 'test'), refusal(/tagged member of another VLAN/));
      model.removeTagged(200, te(2), 'test');
      model.addUntagged(100, te(2), 'test');
      assert.throws(() => model.addTagged(200, te(2), 'test'), refusal(/untagged member of Vlan 100/));
    });

    it('membership needs layer 2 mode, an existing port and an existing VLAN', () => {
      const model = makeModel();
      assert.throws(() => model.addUntagged(100, te(3), 'test'), refusal(/not in Layer-2 mode Te 1\/3/));
      assert.throws(() => model.addTagged(100, te(9), 'test'), refusal(/No such interface/));
      assert.throws(() => model.addTagged(300, te(1), 'test'), refusal(/does not exist/));
      assert.throws(() => model.ensureVlan(4095, 'test'), refusal(/out of range/));
    });

    it('only untagged ports belong to the default VLAN, and it cannot be deleted', () => {
      const model = makeModel();
      assert.throws(() => model.addTagged(1, te(1), 'test'), refusal(/default VLAN/));
      assert.throws(() => model.deleteVlan(1, 'test'), refusal(/Default VLAN/));
    });

    it('deleting a VLAN drops its ports back to the default VLAN', () => {
      const model = makeModel();
      model.addUntagged(100, te(1), 'test');
      model.addTagged(200, te(1), 'test');
      model.deleteVlan(100, 'test');
      model.deleteVlan(200, 'test');
      assert.deepEqual(model.effective(te(1)), { native: 1, tagged: [], up: true });
    });

    it('carries says what passes: by VLAN, by tag, and only while the port is up', () => {
      const model = makeModel();
      model.addUntagged(100, te(1), 'test');
      model.addTagged(200, te(1), 'test');
      assert.equal(model.carries('te1/1', 100, false), true);
      assert.equal(model.carries('te1/1', 100, true), false);
      assert.equal(model.carries('te1/1', 200, true), true);
      assert.equal(model.carries('te1/1', 200, false), false);
      model.setPort(te(1), { shutdown: true }, 'test');
      assert.equal(model.carries('te1/1', 100, false), false);
      assert.equal(model.effective(te(1)).native, 100, 'a shut port stays a member');
    });
  });

  describe('port modes', () => {
    it('portmode hybrid is refused on a port in layer 2 or layer 3 mode', () => {
      const model = makeModel();
      assert.throws(
        () => model.setHybrid(te(2), true, 'test'),
        refusal(/^Port is in Layer-2 mode Te 1\/2\.$/),
      );
      model.setPortIp(te(3), '10.0.0.1/24', 'test');
      assert.throws(() => model.setHybrid(te(3), true, 'test'), refusal(/Layer-3/));
      assert.throws(() => model.setSwitchport(te(3), true, 'test'), refusal(/Layer-3/));
    });

    it('no switchport is refused while the port is in another VLAN than the default one', () => {
      const model = makeModel();
      model.addTagged(200, te(1), 'test');
      assert.throws(() => model.setSwitchport(te(1), false, 'test'), refusal(/non-default VLAN/));
      model.removeTagged(200, te(1), 'test');
      model.setSwitchport(te(1), false, 'test');
      assert.equal(model.effective(te(1)).native, null);
    });

    it('a LAG member is left alone and forwards as its port-channel', () => {
      const model = makeModel();
      model.setLag(te(3), 'Port-channel 1', 'lacp', 'test');
      model.setHybrid('Port-channel 1', true, 'test');
      model.setSwitchport('Port-channel 1', true, 'test');
      model.addTagged(200, 'Port-channel 1', 'test');
      assert.throws(() => model.addTagged(100, te(3), 'test'), refusal(/Error : Te 1\/3 is in Layer 2 LAG/));
      assert.equal(model.effective(te(3)).up, false, 'a new port-channel is shut');
      model.setPort('Port-channel 1', { shutdown: false }, 'test');
      assert.deepEqual(model.effective(te(3)), { native: 1, tagged: [200], up: true });
      assert.throws(() => model.setLag(te(2), 'Port-channel 1', 'lacp', 'test'), refusal(/Layer-2 mode/));
    });
  });

  describe('knobs, each value', () => {
    it('untaggedMove', () => {
      const refusing = makeModel({ untaggedMove: 'refuse' });
      refusing.addUntagged(100, te(1), 'test');
      assert.throws(() => refusing.addUntagged(200, te(1), 'test'), refusal(/untagged member of Vlan 100/));
      assert.equal(refusing.effective(te(1)).native, 100);
      const moving = makeModel({ untaggedMove: 'auto-move' });
      moving.addUntagged(100, te(1), 'test');
      moving.addUntagged(200, te(1), 'test');
      assert.equal(moving.effective(te(1)).native, 200);
      assert.deepEqual(moving.membersOf(100).untagged, []);
    });

    it('sameVlan', () => {
      const refusing = makeModel({ sameVlan: 'refuse' });
      refusing.addTagged(100, te(1), 'test');
      assert.throws(() => refusing.addUntagged(100, te(1), 'test'), refusal(/already a tagged member/));
      const replacing = makeModel({ sameVlan: 'replace' });
      replacing.addTagged(100, te(1), 'test');
      replacing.addUntagged(100, te(1), 'test');
      assert.deepEqual(replacing.effective(te(1)), { native: 100, tagged: [], up: true });
      replacing.addTagged(100, te(1), 'test');
      assert.deepEqual(replacing.effective(te(1)), { native: 1, tagged: [100], up: true });
    });

    it('removeAbsent', () => {
      assert.throws(
        () => makeModel({ removeAbsent: 'refuse' }).removeTagged(100, te(1), 'test'),
        refusal(/not a member/),
      );
      makeModel({ removeAbsent: 'ignore' }).removeTagged(100, te(1), 'test');
    });

    it('defaultVlanEdit', () => {
      assert.throws(
        () => makeModel({ defaultVlanEdit: 'refuse' }).addUntagged(1, te(1), 'test'),
        refusal(/default VLAN/),
      );
      const ignoring = makeModel({ defaultVlanEdit: 'ignore' });
      ignoring.removeUntagged(1, te(1), 'test');
      assert.equal(ignoring.effective(te(1)).native, 1);
    });

    it('deleteOccupiedVlan', () => {
      const refusing = makeModel({ deleteOccupiedVlan: 'refuse' });
      refusing.addTagged(100, te(1), 'test');
      assert.throws(() => refusing.deleteVlan(100, 'test'), refusal(/member ports/));
      refusing.removeTagged(100, te(1), 'test');
      refusing.deleteVlan(100, 'test');
    });

    it('taggedHybrid', () => {
      const kept = makeModel({ taggedHybrid: 'default' });
      kept.addTagged(100, te(1), 'test');
      assert.equal(kept.effective(te(1)).native, 1);
      const left = makeModel({ taggedHybrid: 'none' });
      left.addTagged(100, te(1), 'test');
      assert.equal(left.effective(te(1)).native, null);
    });

    it('vlanShutdown and newVlan', () => {
      const routing = makeModel({ vlanShutdown: 'routing' });
      routing.addUntagged(100, te(1), 'test');
      assert.equal(routing.effective(te(1)).native, 100);
      const forwarding = makeModel({ vlanShutdown: 'forwarding' });
      forwarding.addUntagged(100, te(1), 'test');
      assert.equal(forwarding.effective(te(1)).native, null);
      forwarding.setVlan(100, { shutdown: false }, 'test');
      assert.equal(forwarding.effective(te(1)).native, 100);
      assert.equal(makeModel({ newVlan: 'no shutdown' }).vlan(100)!.shutdown, false);
    });
  });

  describe('configurations', () => {
    it('a reload loses what was not saved', () => {
      const model = makeModel();
      model.addUntagged(100, te(1), 'test');
      model.save('test');
      assert.equal(model.saved, true);
      model.addTagged(200, te(1), 'test');
      assert.equal(model.saved, false);
      model.loadStartup();
      assert.deepEqual(model.effective(te(1)), { native: 100, tagged: [], up: true });
      assert.equal(model.saved, true);
    });

    it('editing the running configuration never reaches the saved one', () => {
      const model = makeModel();
      model.save('test');
      model.addUntagged(100, te(1), 'test');
      assert.equal(model.startup.vlans.get(100)!.untagged.size, 0);
    });

    it('the default VLAN moves only to a VLAN without members', () => {
      const model = makeModel();
      model.addTagged(200, te(1), 'test');
      assert.throws(() => model.setDefaultVlan(200, 'test'), refusal(/member ports/));
      model.setDefaultVlan(100, 'test');
      assert.equal(model.effective(te(2)).native, 100);
    });

    it('VLAN names are unique, short, and start with no digit', () => {
      const model = makeModel();
      model.setVlanName(100, 'blue', 'test');
      assert.throws(() => model.setVlanName(200, 'blue', 'test'), refusal(/Name already exists/));
      assert.throws(() => model.setVlanName(200, '2blue', 'test'), refusal(/Invalid/));
      assert.throws(() => model.setVlanName(200, 'x'.repeat(33), 'test'), refusal(/Invalid/));
    });
  });

  describe('configuration lock', () => {
    it('belongs to the line, keeps others out, and vanishes with the line', () => {
      const { lines } = makeModel();
      const first = lines.open('admin', '10.1.1.1', () => undefined)!;
      const second = lines.open('admin', '10.1.1.2', () => undefined)!;
      lines.enterConfiguration(first, false);
      assert.throws(
        () => lines.enterConfiguration(second, true),
        refusal(
          /following users are currently configuring the system: User "admin" on line vty0 \( 10\.1\.1\.1 \)\./,
        ),
      );
      lines.leaveConfiguration(first);
      lines.enterConfiguration(second, true);
      assert.throws(
        () => lines.enterConfiguration(first, false),
        refusal(/on line vty1 .* exclusive configuration mode/),
      );
      lines.leaveConfiguration(second);
      lines.enterConfiguration(first, false);
      lines.leaveConfiguration(first);
      lines.enterConfiguration(second, true);
      lines.release(second);
      lines.enterConfiguration(first, false);
    });
  });

  describe('changes', () => {
    it('are told at once, with exactly the ports whose forwarding changed', () => {
      const model = makeModel();
      const told: string[][] = [];
      const stop = model.onChange(({ ports }: Os9Change) => told.push([...ports]));
      model.setPort(te(1), { description: 'quiet' }, 'test');
      assert.deepEqual(told, []);
      model.addUntagged(100, te(1), 'test');
      assert.deepEqual(told, [[te(1)]]);
      model.setDefaultVlan(null, 'test');
      assert.deepEqual(told[1], [te(2)]);
      model.setLink('Te 1/1', false);
      assert.deepEqual(told[2], [te(1)]);
      model.setOffline(true);
      assert.deepEqual(told[3], [te(2), te(3)]);
      stop();
      model.setOffline(false);
      assert.equal(told.length, 4);
    });

    it('an atomic piece of work that fails leaves nothing behind', () => {
      const model = makeModel();
      assert.throws(() =>
        model.atomically(() => {
          model.addUntagged(100, te(1), 'test');
          model.addUntagged(100, te(3), 'test');
        }),
      );
      assert.equal(model.effective(te(1)).native, 1);
    });
  });

  it('after any commands, refused or not, every port obeys the rules of membership', () => {
    const port = fc.constantFrom(te(1), te(2), te(3));
    const vlan = fc.constantFrom(1, 100, 200, 300);
    const step = fc.oneof(
      fc.record({ do: fc.constantFrom('untag', 'no untag', 'tag', 'no tag'), vlan, port }),
      fc.record({ do: fc.constantFrom('hybrid', 'no hybrid', 'l2', 'no l2', 'lag', 'no lag'), vlan, port }),
      fc.record({ do: fc.constantFrom('vlan', 'no vlan', 'default'), vlan, port }),
    );
    const knobs = fc.record({
      untaggedMove: fc.constantFrom('refuse' as const, 'auto-move' as const),
      sameVlan: fc.constantFrom('refuse' as const, 'replace' as const),
      deleteOccupiedVlan: fc.constantFrom('allow' as const, 'refuse' as const),
      taggedHybrid: fc.constantFrom('default' as const, 'none' as const),
    });
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 40 }),
        knobs,
        fc.constantFrom(1, null),
        (steps, values, start) => {
          const model = makeModel(values, start);
          for (const one of steps) {
            const before = JSON.stringify([...model.dump()]);
            try {
              perform(model, one);
            } catch (error) {
              assert.ok(error instanceof Os9Refusal, String(error));
              assert.equal(JSON.stringify([...model.dump()]), before, 'a refused command changes nothing');
            }
            for (const name of model.portNames) checkRules(model, name);
          }
        },
      ),
    );
  });
});

function perform(model: Os9Model, step: { do: string; vlan: number; port: string }): void {
  const { vlan, port } = step;
  const by = 'test';
  const commands: Record<string, () => void> = {
    untag: () => model.addUntagged(vlan, port, by),
    'no untag': () => model.removeUntagged(vlan, port, by),
    tag: () => model.addTagged(vlan, port, by),
    'no tag': () => model.removeTagged(vlan, port, by),
    hybrid: () => model.setHybrid(port, true, by),
    'no hybrid': () => model.setHybrid(port, false, by),
    l2: () => model.setSwitchport(port, true, by),
    'no l2': () => model.setSwitchport(port, false, by),
    lag: () => model.setLag(port, 'Port-channel 1', 'lacp', by),
    'no lag': () => model.setLag(port, null, 'lacp', by),
    vlan: () => model.ensureVlan(vlan, by),
    'no vlan': () => model.deleteVlan(vlan, by),
    default: () => model.setDefaultVlan(vlan, by),
  };
  commands[step.do]!();
}

function checkRules(model: Os9Model, name: string): void {
  const config = model.port(name)!;
  const { native, tagged } = model.effective(name);
  const untaggedIn = model.vlanIds.filter((id) => model.membersOf(id).untagged.includes(name));
  assert.ok(untaggedIn.length <= 1, `${name} untagged in ${untaggedIn.join()}`);
  if (config.lag !== null) return;
  if (!config.switchport) assert.deepEqual({ native, tagged }, { native: null, tagged: [] });
  if (native !== null) assert.ok(!tagged.includes(native), `${name} tagged and untagged in ${native}`);
  if (!config.hybrid) assert.ok(native === null || tagged.length === 0, `${name} is mixed without hybrid`);
  for (const id of tagged)
    assert.notEqual(id, model.running.defaultVlan, `${name} tagged in the default VLAN`);
}
