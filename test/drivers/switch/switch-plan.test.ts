import { deepEqual, equal, ok, throws } from 'node:assert/strict';
import fc from 'fast-check';
import {
  DeviceError,
  describePort,
  os9PortId,
  parseVlanId,
  planPorts,
  portSatisfies,
  type DesiredPort,
  type DeviceCode,
  type ObservedPort,
  type ObservedSwitch,
  type ObservedVlan,
  type PortId,
  type SwitchIntent,
  type SwitchStep,
  type VlanId,
} from '../../../plugin-api/index.ts';

/**
 * OS9 in a few lines: what a step does, and what the switch refuses. Written against the manual, not against the planner.
 */
class ModelSwitch {
  readonly ports = new Map<
    PortId,
    { native: VlanId | null; tagged: Set<VlanId>; up: boolean; hybrid: boolean }
  >();
  readonly vlans = new Map<VlanId, { ours: boolean }>();
  /** VLANs in which a port was up and untagged at some moment since the last reset. */
  readonly exposed = new Map<PortId, Set<VlanId | 'default'>>();
  readonly defaultVlan: VlanId | null;

  constructor(defaultVlan: VlanId | null) {
    this.defaultVlan = defaultVlan;
    if (defaultVlan !== null) this.vlans.set(defaultVlan, { ours: false });
  }

  add(id: PortId, state: ObservedPort): void {
    const native = typeof state.native === 'number' ? state.native : null;
    const joined = [...state.tagged, ...(native === null ? [] : [native])];
    for (const vlan of joined) if (!this.vlans.has(vlan)) this.vlans.set(vlan, { ours: false });
    const tagged = new Set(state.tagged);
    this.ports.set(id, { native, tagged, up: state.admin === 'up', hybrid: state.prepared });
  }

  observe(ids: Iterable<PortId> = this.ports.keys()): ObservedSwitch {
    const ports = [...ids].flatMap((id): [PortId, ObservedPort][] => {
      const port = this.ports.get(id);
      if (!port) return [];
      const implicit = port.hybrid && this.defaultVlan !== null ? 'default' : null;
      return [
        [
          id,
          {
            native: port.native ?? implicit,
            tagged: [...port.tagged].sort((a, b) => a - b),
            admin: port.up ? 'up' : 'down',
            prepared: port.hybrid,
            guarded: null,
          },
        ],
      ];
    });
    const vlans = [...this.vlans].map(([id, { ours }]): [VlanId, ObservedVlan] => [
      id,
      { id, ours, description: ours ? `csbm-${id}` : '', members: this.#members(id) },
    ]);
    return { defaultVlan: this.defaultVlan, ports: new Map(ports), vlans: new Map(vlans), unsaved: null };
  }

  apply(steps: readonly SwitchStep[]): void {
    this.exposed.clear();
    this.#look();
    for (const step of steps) {
      this.#apply(step);
      this.#look();
    }
  }

  #members(vlan: VlanId): PortId[] {
    return [...this.ports].filter(([, p]) => p.native === vlan || p.tagged.has(vlan)).map(([id]) => id);
  }

  #look(): void {
    for (const [id, port] of this.ports) {
      if (!port.up || !port.hybrid) continue;
      const seen = this.exposed.get(id) ?? new Set();
      seen.add(port.native ?? 'default');
      this.exposed.set(id, seen);
    }
  }

  #apply(step: SwitchStep): void {
    if (step.do === 'ensure-vlan') {
      if (!this.vlans.has(step.vlan)) this.vlans.set(step.vlan, { ours: true });
      return;
    }
    if (step.do === 'delete-vlan') {
      ok(this.vlans.get(step.vlan)?.ours, `deletes VLAN ${step.vlan}, which is not ours`);
      deepEqual(this.#members(step.vlan), [], `deletes VLAN ${step.vlan} with members`);
      this.vlans.delete(step.vlan);
      return;
    }
    const port = this.ports.get(step.port)!;
    switch (step.do) {
      case 'set-admin':
        port.up = step.admin === 'up';
        break;
      case 'prepare-port':
        ok(port.native === null && port.tagged.size === 0, 'no switchport refused: in a non-default VLAN');
        port.hybrid = true;
        break;
      case 'remove-tagged':
        ok(port.tagged.delete(step.vlan), 'not a tagged member');
        break;
      case 'remove-native':
        equal(port.native, step.vlan, 'not an untagged member');
        port.native = null;
        break;
      case 'set-native':
        ok(port.hybrid && this.vlans.has(step.vlan), 'not prepared, or no such VLAN');
        ok(step.vlan !== this.defaultVlan, 'membership in the default VLAN is implicit');
        equal(port.native, null, 'untagged elsewhere');
        ok(!port.tagged.has(step.vlan), 'tagged in the same VLAN');
        port.native = step.vlan;
        break;
      case 'add-tagged':
        ok(port.hybrid && this.vlans.has(step.vlan), 'not prepared, or no such VLAN');
        ok(step.vlan !== this.defaultVlan, 'the default VLAN takes untagged ports only');
        ok(port.native !== step.vlan, 'untagged in the same VLAN');
        port.tagged.add(step.vlan);
        break;
    }
  }
}

const v = parseVlanId;
const te = (n: number): PortId => os9PortId(`Te 1/${n}`);
const pool = [10, 20, 30, 40].map(v);
const uplink = te(48);

const vlanSet = fc.uniqueArray(fc.constantFrom(...pool)).map((ids) => ids.sort((a, b) => a - b));
const observedPort: fc.Arbitrary<ObservedPort> = fc
  .record({
    native: fc.constantFrom('default' as const, ...pool),
    tagged: vlanSet,
    admin: fc.constantFrom('up' as const, 'down' as const),
    prepared: fc.boolean(),
  })
  .map(({ native, tagged, admin, prepared }) =>
    prepared
      ? { native, tagged: tagged.filter((id) => id !== native), admin, prepared, guarded: null }
      : { native: null, tagged: [], admin, prepared, guarded: null },
  );
const desiredPort: fc.Arbitrary<DesiredPort> = fc.oneof(
  fc.constant({ native: null, tagged: [], admin: 'down' as const }),
  fc
    .record({
      native: fc.constantFrom('default' as const, ...pool),
      tagged: vlanSet,
      admin: fc.constantFrom('up' as const, 'down' as const),
    })
    .map(({ native, tagged, admin }) => ({ native, tagged: tagged.filter((id) => id !== native), admin })),
);

function intentOf(
  ports: readonly (readonly [PortId, DesiredPort])[],
  more: Partial<SwitchIntent> = {},
): SwitchIntent {
  return {
    ports: new Map(ports),
    uplinks: [uplink],
    carried: [],
    retired: [],
    shutDuringMove: true,
    ...more,
  };
}

function refuses(code: DeviceCode, work: () => unknown, about?: RegExp): void {
  throws(work, (error) => {
    ok(error instanceof DeviceError, String(error));
    equal(error.code, code);
    if (about) ok(about.test(error.message), error.message);
    return true;
  });
}

/** A port as the switch shows it. */
function seen(state: Partial<ObservedPort> = {}): ObservedPort {
  return { native: 'default', tagged: [], admin: 'up', prepared: true, guarded: null, ...state };
}

function switchWith(
  ports: readonly (readonly [PortId, ObservedPort])[],
  ours: readonly VlanId[] = [],
): ObservedSwitch {
  const ids = new Set([v(1), ...ours, ...ports.flatMap(([, p]) => [...p.tagged, ...(typeof p.native === 'number' ? [p.native] : [])])]); // prettier-ignore
  return {
    defaultVlan: v(1),
    ports: new Map(ports),
    vlans: new Map([...ids].map((id) => [id, { id, ours: ours.includes(id), description: '' }])),
    unsaved: null,
  };
}

describe('switch plan', () => {
  it('reaches every desired state from every other, in steps that the switch takes', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(observedPort, fc.option(desiredPort)), { minLength: 1, maxLength: 5 }),
        vlanSet,
        vlanSet,
        (states, carried, retired) => {
          const model = new ModelSwitch(v(1));
          states.forEach(([start], i) => model.add(te(i + 1), start));
          model.add(uplink, seen({ tagged: [v(10)] }));
          const wishes = states.flatMap(([, wish], i) => (wish ? [[te(i + 1), wish] as const] : []));
          const before = model.observe();
          const intent = intentOf(wishes, { carried, retired });
          model.apply(planPorts(before, intent, { prepare: true }));

          const after = model.observe();
          for (const [id, wish] of wishes)
            ok(
              portSatisfies(after.ports.get(id)!, wish),
              `${describePort(after.ports.get(id)!)} for ${describePort(wish)}`,
            );
          for (const [id, port] of before.ports)
            if (!intent.ports.has(id) && id !== uplink) deepEqual(after.ports.get(id), port);
          for (const vlan of carried) ok(after.ports.get(uplink)!.tagged.includes(vlan));
          equal(after.ports.get(uplink)!.native, 'default');
          equal(after.ports.get(uplink)!.admin, 'up');
          deepEqual(planPorts(after, intent, { prepare: true }), []);
        },
      ),
    );
  });

  it('never has a port up in a VLAN between, above all not in the default VLAN', () => {
    fc.assert(
      fc.property(observedPort, desiredPort, (start, wish) => {
        const model = new ModelSwitch(v(1));
        model.add(te(1), start);
        model.apply(
          planPorts(model.observe(), intentOf([[te(1), wish]], { uplinks: [] }), { prepare: true }),
        );
        const allowed = [start, wish].filter((s) => s.admin === 'up').map((s) => s.native);
        for (const vlan of model.exposed.get(te(1)) ?? []) ok(allowed.includes(vlan), `was up in ${vlan}`);
      }),
    );
  });

  it('keeps the order: shut, leave tagged, leave native, join native, join tagged, up', () => {
    const observed = switchWith([
      [te(1), seen({ native: v(20), tagged: [v(10), v(40)] })],
      [uplink, seen({ tagged: [v(10), v(20), v(40)] })],
    ]);
    const wish: DesiredPort = { native: v(10), tagged: [v(30)], admin: 'up' };
    deepEqual(
      planPorts(observed, intentOf([[te(1), wish]], { carried: [v(10), v(30)] }), { prepare: false }),
      [
        { do: 'ensure-vlan', vlan: 30, description: 'csbm-30' },
        { do: 'set-admin', port: te(1), admin: 'down' },
        { do: 'remove-tagged', port: te(1), vlan: 10 },
        { do: 'remove-tagged', port: te(1), vlan: 40 },
        { do: 'remove-native', port: te(1), vlan: 20 },
        { do: 'set-native', port: te(1), vlan: 10 },
        { do: 'add-tagged', port: te(1), vlan: 30 },
        { do: 'add-tagged', port: uplink, vlan: 30 },
        { do: 'set-admin', port: te(1), admin: 'up' },
      ],
    );
  });

  it('shuts a port that falls back to the default VLAN, and one that is prepared there', () => {
    const wish: DesiredPort = { native: 'default', tagged: [], admin: 'up' };
    const falling = switchWith([[te(1), seen({ native: v(10) })]]);
    deepEqual(
      planPorts(falling, intentOf([[te(1), wish]]), { prepare: false }).map((step) => step.do),
      ['set-admin', 'remove-native', 'set-admin'],
    );
    const plain = switchWith([[te(1), seen({ prepared: false })]], [v(10)]);
    deepEqual(
      planPorts(plain, intentOf([[te(1), { ...wish, tagged: [v(10)] }]]), { prepare: true }).map(
        (step) => step.do,
      ),
      ['set-admin', 'prepare-port', 'add-tagged', 'set-admin'],
    );
  });

  it('does not shut a running port for tagged VLANs', () => {
    const observed = switchWith([[te(1), seen({ native: v(10), tagged: [v(20)] })]], [v(10), v(20), v(30)]);
    const wish: DesiredPort = { native: v(10), tagged: [v(30)], admin: 'up' };
    deepEqual(
      planPorts(observed, intentOf([[te(1), wish]]), { prepare: false }).map((step) => step.do),
      ['remove-tagged', 'add-tagged'],
    );
  });

  it('takes the default VLAN by its id as the default VLAN', () => {
    const observed = switchWith([[te(1), seen()]]);
    const wish: DesiredPort = { native: v(1), tagged: [], admin: 'up' };
    deepEqual(planPorts(observed, intentOf([[te(1), wish]]), { prepare: true }), []);
    equal(portSatisfies(seen(), wish, v(1)), true);
    equal(portSatisfies(seen(), wish), false);
  });

  it('names the state of a port on one line', () => {
    equal(
      describePort({ native: v(100), tagged: [v(200), v(300)], admin: 'up' }),
      'native 100, tagged 200,300, up',
    );
    equal(
      describePort(seen({ native: null, admin: 'down', prepared: false, guarded: 'a LAG member' })),
      'native none, tagged none, down (not prepared; left alone: a LAG member)',
    );
  });

  describe('uplinks', () => {
    it('lose retired VLANs, which are deleted only when ours and empty', () => {
      const observed = switchWith([[uplink, seen({ tagged: [v(10), v(20), v(30)] })]], [v(10), v(30)]);
      const steps = planPorts(observed, intentOf([], { retired: [v(20), v(10)], carried: [v(30)] }), {
        prepare: true,
      });
      deepEqual(steps, [
        { do: 'remove-tagged', port: uplink, vlan: 10 },
        { do: 'delete-vlan', vlan: 10 },
        { do: 'remove-tagged', port: uplink, vlan: 20 },
      ]);
    });

    it('keep a retired VLAN that a port not asked for is in, or that is carried after all', () => {
      const observed = switchWith([[uplink, seen({ tagged: [v(10), v(20)] })]], [v(10), v(20)]);
      const vlans = new Map(observed.vlans).set(v(10), {
        id: v(10),
        ours: true,
        description: 'csbm-10',
        members: [uplink, te(7)],
      });
      const intent = intentOf([], { retired: [v(10), v(20)], carried: [v(20)] });
      deepEqual(planPorts({ ...observed, vlans }, intent, { prepare: true }), []);
    });

    it('do not lose a VLAN whose member is another uplink than those named', () => {
      const base = switchWith([[uplink, seen({ tagged: [v(10)] })]], [v(10)]);
      const members = [uplink, te(47)];
      const vlans = new Map(base.vlans).set(v(10), {
        id: v(10),
        ours: true,
        description: 'csbm-10',
        members,
      });
      deepEqual(planPorts({ ...base, vlans }, intentOf([], { retired: [v(10)] }), { prepare: true }), []);
    });

    it('are never moved out of their native VLAN', () => {
      const plain = switchWith([[uplink, seen({ prepared: false })]], [v(10)]);
      const carry = (shutDuringMove: boolean): SwitchIntent =>
        intentOf([], { carried: [v(10)], shutDuringMove });
      refuses('switch.unprepared', () => planPorts(plain, carry(true), { prepare: true }), /uplink/);
      equal(planPorts(plain, carry(false), { prepare: true }).length, 1);
      const access = switchWith([[uplink, seen({ prepared: false, native: v(20) })]], [v(10)]);
      refuses('switch.unprepared', () => planPorts(access, carry(false), { prepare: true }));
      const trunk = switchWith([[uplink, seen({ prepared: false, native: null, tagged: [v(20)] })]], [v(10)]);
      equal(planPorts(trunk, carry(true), { prepare: true }).length, 1);
    });

    it('are refused when they do not exist, or are LAG members, or shall tag the default VLAN', () => {
      const carry = intentOf([], { carried: [v(10)] });
      refuses('switch.port-unknown', () => planPorts(switchWith([]), carry, { prepare: true }));
      const member = switchWith([[uplink, seen({ guarded: 'a LAG member' })]]);
      refuses('switch.port-guarded', () => planPorts(member, carry, { prepare: true }));
      const asked = intentOf([], { carried: [v(1)] });
      refuses('switch.vlan-guarded', () =>
        planPorts(switchWith([[uplink, seen()]]), asked, { prepare: true }),
      );
    });
  });

  describe('refuses', () => {
    const up: DesiredPort = { native: v(10), tagged: [], admin: 'up' };
    const plan = (state: ObservedPort | null, wish = up, prepare = true): unknown =>
      planPorts(switchWith(state ? [[te(1), state]] : []), intentOf([[te(1), wish]]), {
        prepare,
        where: 'tor-a',
      });

    it('a port that is not there, an uplink, a guarded port', () => {
      refuses('switch.port-unknown', () => plan(null), /tor-a TenGigabitEthernet 1\/1/);
      refuses(
        'switch.port-guarded',
        () => plan(seen({ guarded: 'a LAG member (of Port-channel 1)' })),
        /Port-channel 1/,
      );
      const observed = switchWith([[uplink, seen()]]);
      refuses(
        'switch.port-guarded',
        () => planPorts(observed, intentOf([[uplink, up]]), { prepare: true }),
        /uplink/,
      );
    });

    it('to prepare a port that is in use, or any where that is switched off', () => {
      const used = [
        seen({ prepared: false, native: v(20) }),
        seen({ prepared: false, native: null, tagged: [v(20)] }),
      ];
      for (const state of used) refuses('switch.unprepared', () => plan(state));
      const remedy = { prepare: true, unpreparedRemedy: 'do this' };
      const wanted = intentOf([[te(1), up]]);
      refuses(
        'switch.unprepared',
        () => planPorts(switchWith([[te(1), used[0]!]]), wanted, remedy),
        /do this/,
      );
      refuses('switch.unprepared', () => plan(seen({ prepared: false }), up, false));
      deepEqual(
        (plan(seen({ prepared: false })) as SwitchStep[]).map((step) => step.do),
        ['ensure-vlan', 'set-admin', 'prepare-port', 'set-native', 'set-admin'],
      );
    });

    it('states that the switch does not have', () => {
      refuses('switch.vlan-guarded', () => plan(seen(), { native: null, tagged: [], admin: 'up' }));
      refuses('switch.vlan-guarded', () => plan(seen(), { native: v(10), tagged: [v(1)], admin: 'up' }));
      refuses('switch.vlan-guarded', () => plan(seen(), { native: v(10), tagged: [v(10)], admin: 'up' }));
      refuses('switch.vlan-guarded', () =>
        plan(seen({ native: null, tagged: [v(20)] }), { native: 'default', tagged: [v(20)], admin: 'up' }),
      );
      const none = { ...switchWith([[te(1), seen({ native: null })]]), defaultVlan: null };
      const wish = intentOf([[te(1), { native: 'default', tagged: [], admin: 'up' }]]);
      refuses('switch.vlan-guarded', () => planPorts(none, wish, { prepare: true }));
    });

    it('all of a batch when one port of it cannot be', () => {
      const observed = switchWith([[te(1), seen()]]);
      refuses('switch.port-unknown', () => planPorts(observed, intentOf([[te(1), up], [te(2), up]]), { prepare: true })); // prettier-ignore
    });
  });

  it('clears and shuts a port that was never prepared, without preparing it', () => {
    const wish: DesiredPort = { native: null, tagged: [], admin: 'down' };
    const used = switchWith([[te(1), seen({ prepared: false, native: v(20) })]]);
    deepEqual(planPorts(used, intentOf([[te(1), wish]]), { prepare: false }), [
      { do: 'set-admin', port: te(1), admin: 'down' },
      { do: 'remove-native', port: te(1), vlan: 20 },
    ]);
  });
});
