import { deepEqual, equal, ok, rejects, throws } from 'node:assert/strict';
import { DeviceError, type DeviceCode } from '../device-error.ts';
import type { PortId } from '../port-id.ts';
import { Secret } from '../secret.ts';
import { describePort, portSatisfies } from '../switch-plan.ts';
import type {
  DesiredPort,
  ObservedSwitch,
  SwitchDriver,
  SwitchIntent,
  SwitchSession,
  SwitchTarget,
} from '../switch.ts';
import { parseVlanId, type VlanId } from '../vlan-id.ts';

/** What a port really does with frames, known without the driver under test. */
export interface EffectivePortState {
  /** The VLAN of untagged frames, the default VLAN by its id; null = they are dropped. */
  readonly native: number | null;
  /** Ascending. */
  readonly tagged: readonly number[];
  readonly up: boolean;
}

/** One switch, real or simulated, and the driver for it. */
export interface SwitchFixture {
  readonly driver: SwitchDriver;
  readonly target: SwitchTarget;
  /** At least three prepared ports that the suite may change. */
  readonly ports: readonly PortId[];
  /** At least one, not among `ports`. */
  readonly uplinks: readonly PortId[];
  /** A well-formed name of a port that the switch does not have. */
  readonly missingPort: PortId;
  /** The switch's default VLAN, or null when it has none. */
  readonly defaultVlan: VlanId | null;
  /** False where the device knows no passwords; absent = true. */
  readonly passwords?: boolean;
  /** Every port of the switch, from the device itself. */
  oracle(): Promise<ReadonlyMap<PortId, EffectivePortState>>;
  /** Whether a reload now would lose nothing; absent where the device cannot tell. */
  saved?(): Promise<boolean>;
  stop(): Promise<void>;
}

/** The test framework's two functions; mocha, jest and node:test all fit. */
export interface TestFramework {
  readonly describe: (name: string, body: () => void) => unknown;
  readonly it: (name: string, body: () => Promise<void>) => unknown;
}

export interface ConformanceOptions {
  /** Seed of the random states; default the time. A failure names it. */
  readonly seed?: number;
  /** How many random states are gone through; default 8. */
  readonly rounds?: number;
}

const vlan = parseVlanId;
/** VLANs that the suite makes; a real switch under test must not use them. */
const vlans = [3001, 3002, 3003, 3004].map(vlan);
const [v1, v2, v3] = vlans as [VlanId, VlanId, VlanId, VlanId];

/** What every switch driver must hold, whatever its device: registers one test for each promise of the interface. */
export function switchConformance(
  { describe, it }: TestFramework,
  makeFixture: () => Promise<SwitchFixture>,
  options: ConformanceOptions = {},
): void {
  const test = (name: string, body: (fixture: SwitchFixture) => Promise<void>): void => {
    it(name, async () => {
      const fixture = await makeFixture();
      try {
        await body(fixture);
      } finally {
        await fixture.stop();
      }
    });
  };

  describe('switch driver contract', () => {
    test('reads what the switch does', async (fixture) => {
      await converge(fixture, { ports: [[fixture.ports[0]!, port(v1, [v2, v3])]] });
      const seen = await withSession(fixture, (session) => session.read(everyPort(fixture)));
      const truth = await fixture.oracle();
      for (const [id, observed] of seen.ports) {
        const native = observed.native === 'default' ? seen.defaultVlan : observed.native;
        const shown = { native, tagged: [...observed.tagged], up: observed.admin === 'up' };
        const actual = truth.get(id)!;
        if (shown.up) deepEqual(shown, { ...actual, tagged: [...actual.tagged] }, id);
        else equal(actual.up, false, `${id} is shown down and is up`);
      }
      equal(seen.defaultVlan, fixture.defaultVlan);
      equal(seen.ports.size, everyPort(fixture).length);
    });

    test('gives a port a native VLAN and tagged VLANs', async (fixture) => {
      const [a, b] = fixture.ports as [PortId, PortId];
      await converge(fixture, { ports: [[a, port(v1, [v2, v3])], [b, port(v2, [])]] }); // prettier-ignore
      await expectPort(fixture, a, { native: v1, tagged: [v2, v3], up: true });
      await expectPort(fixture, b, { native: v2, tagged: [], up: true });
    });

    test('moves a native VLAN, and turns a tagged VLAN into the native one', async (fixture) => {
      const [a] = fixture.ports as [PortId];
      await converge(fixture, { ports: [[a, port(v1, [v2])]] });
      await converge(fixture, { ports: [[a, port(v2, [v1])]] });
      await expectPort(fixture, a, { native: v2, tagged: [v1], up: true });
    });

    test('plans nothing for what already is', async (fixture) => {
      const wish = { ports: [[fixture.ports[0]!, port(v1, [v2])]] as const, carried: [v1, v2] };
      await converge(fixture, wish);
      const before = await fixture.oracle();
      await withSession(fixture, async (session) => {
        const observed = await session.read(everyPort(fixture));
        const steps = fixture.driver.plan(observed, intent(fixture, wish));
        deepEqual(steps, []);
        deepEqual(fixture.driver.render(steps), []);
        await session.apply(steps);
      });
      deepEqual(await fixture.oracle(), before);
    });

    test('reaches any state from any other, and touches no other port', async (fixture) => {
      const seed = options.seed ?? Date.now();
      const random = randomFrom(seed);
      try {
        for (let round = 0; round < (options.rounds ?? 8); round += 1) {
          const chosen = fixture.ports.filter(() => random(2) === 0);
          const states = chosen.map((id) => [id, randomPort(random, fixture)] as const);
          const before = await fixture.oracle();
          await converge(fixture, { ports: states });
          const after = await fixture.oracle();
          for (const [id, desired] of states) expectEffective(after.get(id)!, desired, fixture, id);
          for (const [id, state] of before)
            if (!chosen.includes(id)) deepEqual(after.get(id), state, `${id} was not asked for`);
        }
      } catch (error) {
        throw new Error(`with seed ${seed}: ${(error as Error).message}`, { cause: error });
      }
    });

    test('shuts a port and raises it, and leaves its VLANs alone', async (fixture) => {
      const [a] = fixture.ports as [PortId];
      await converge(fixture, { ports: [[a, port(v1, [v2], 'down')]] });
      equal((await fixture.oracle()).get(a)!.up, false);
      await converge(fixture, { ports: [[a, port(v1, [v2])]] });
      await expectPort(fixture, a, { native: v1, tagged: [v2], up: true });
    });

    test('clears a port: out of every VLAN, and shut', async (fixture) => {
      const [a] = fixture.ports as [PortId];
      await converge(fixture, { ports: [[a, port(v1, [v2, v3])]] });
      await converge(fixture, { ports: [[a, port(null, [], 'down')]] });
      const seen = await withSession(fixture, (session) => session.read([a]));
      const state = seen.ports.get(a)!;
      ok(state.native === null || state.native === 'default', describePort(state));
      deepEqual([...state.tagged], []);
      equal((await fixture.oracle()).get(a)!.up, false);
    });

    test('lets a port fall back to the default VLAN', async (fixture) => {
      if (fixture.defaultVlan === null) return;
      const [a] = fixture.ports as [PortId];
      await converge(fixture, { ports: [[a, port(v1, [v2])]] });
      await converge(fixture, { ports: [[a, port('default', [])]] });
      await expectPort(fixture, a, { native: fixture.defaultVlan, tagged: [], up: true });
    });

    test('adds VLANs to the uplinks, takes retired ones off, and deletes those it made', async (fixture) => {
      const before = await fixture.oracle();
      const [a] = fixture.ports as [PortId];
      await converge(fixture, { ports: [[a, port(v1, [])]], carried: [v1, v2] });
      for (const uplink of fixture.uplinks) {
        const was = before.get(uplink)!;
        const tagged = [...was.tagged, v1, v2].sort((x, y) => x - y);
        await expectPort(fixture, uplink, { ...was, tagged });
      }
      const cleared = await converge(fixture, {
        ports: [[a, port(null, [], 'down')]],
        retired: [v1, v2],
      });
      ok(!cleared.vlans.has(v1) && !cleared.vlans.has(v2), 'the VLANs it made are still there');
      for (const uplink of fixture.uplinks) await expectPort(fixture, uplink, before.get(uplink)!);
    });

    test('keeps a retired VLAN that another port still uses', async (fixture) => {
      const [a, b] = fixture.ports as [PortId, PortId];
      await converge(fixture, { ports: [[a, port(v1, [])], [b, port(v1, [])]], carried: [v1] }); // prettier-ignore
      const seen = await converge(fixture, { ports: [[a, port(null, [], 'down')]], retired: [v1] });
      ok(seen.vlans.has(v1));
      await expectPort(fixture, b, { native: v1, tagged: [], up: true });
      for (const uplink of fixture.uplinks) ok((await fixture.oracle()).get(uplink)!.tagged.includes(v1));
    });

    test('makes changes survive a reload', async (fixture) => {
      await withSession(fixture, async (session) => {
        const wish = intent(fixture, { ports: [[fixture.ports[0]!, port(v1, [])]] });
        const observed = await session.read(everyPort(fixture));
        await session.apply(fixture.driver.plan(observed, wish));
        await session.save();
      });
      if (fixture.saved) equal(await fixture.saved(), true);
    });

    test('refuses to treat an uplink as a port', async (fixture) => {
      await refusesPlan(fixture, fixture.uplinks[0]!, 'switch.port-guarded');
    });

    test('refuses a port that the switch does not have', async (fixture) => {
      await refusesPlan(fixture, fixture.missingPort, 'switch.port-unknown');
    });

    test('refuses the wrong password, and says so', async (fixture) => {
      if (fixture.passwords === false) return;
      const target = { ...fixture.target, password: new Secret('certainly-not-the-password') };
      await rejects(fixture.driver.open(target), withCode('switch.auth'));
    });

    test('refuses another host key than the pinned one, and takes the pinned one', async (fixture) => {
      const hostKey = await withSession(fixture, async (session) => session.hostKey);
      if (hostKey === null) return;
      const other = { ...fixture.target, hostKeyPin: '0'.repeat(64) };
      await rejects(fixture.driver.open(other), withCode('switch.host-key'));
      const base64 = Buffer.from(hostKey, 'hex').toString('base64').replace(/=+$/, '');
      for (const pin of [hostKey, `SHA256:${base64}`]) {
        const session = await fixture.driver.open({ ...fixture.target, hostKeyPin: pin });
        await session.close();
      }
    });

    test('gives up at once when told to', async (fixture) => {
      const reason = new Error('no longer wanted');
      await rejects(fixture.driver.open(fixture.target, AbortSignal.abort(reason)), reason);
      const session = await fixture.driver.open(fixture.target);
      await rejects(session.read(everyPort(fixture), AbortSignal.abort(reason)), reason);
      await session.close();
    });
  });
}

interface Wish {
  readonly ports: readonly (readonly [PortId, DesiredPort])[];
  readonly carried?: readonly VlanId[];
  readonly retired?: readonly VlanId[];
}

function port(
  native: DesiredPort['native'],
  tagged: readonly VlanId[],
  admin: 'up' | 'down' = 'up',
): DesiredPort {
  return { native, tagged, admin };
}

function intent(fixture: SwitchFixture, wish: Wish): SwitchIntent {
  return {
    ports: new Map(wish.ports),
    uplinks: fixture.uplinks,
    carried: wish.carried ?? [],
    retired: wish.retired ?? [],
    shutDuringMove: true,
  };
}

function everyPort(fixture: SwitchFixture): PortId[] {
  return [...fixture.ports, ...fixture.uplinks];
}

async function withSession<T>(
  fixture: SwitchFixture,
  work: (session: SwitchSession) => Promise<T>,
): Promise<T> {
  const session = await fixture.driver.open(fixture.target);
  try {
    return await work(session);
  } finally {
    await session.close();
  }
}

/** Read, plan, apply, read back, save: what the service does. */
async function converge(fixture: SwitchFixture, wish: Wish): Promise<ObservedSwitch> {
  return withSession(fixture, async (session) => {
    const wanted = intent(fixture, wish);
    const before = await session.read(everyPort(fixture));
    await session.apply(fixture.driver.plan(before, wanted));
    const after = await session.read(everyPort(fixture));
    for (const [id, desired] of wish.ports) {
      const seen = after.ports.get(id)!;
      ok(
        portSatisfies(seen, desired, after.defaultVlan),
        `${id} shall be ${describePort(desired)} and is ${describePort(seen)}`,
      );
    }
    deepEqual(fixture.driver.plan(after, wanted), [], 'something is left to do');
    await session.save();
    return after;
  });
}

async function refusesPlan(fixture: SwitchFixture, id: PortId, code: DeviceCode): Promise<void> {
  const seen = await withSession(fixture, (session) => session.read([...everyPort(fixture), id]));
  throws(() => fixture.driver.plan(seen, intent(fixture, { ports: [[id, port(v1, [])]] })), withCode(code));
}

async function expectPort(fixture: SwitchFixture, id: PortId, expected: EffectivePortState): Promise<void> {
  const actual = (await fixture.oracle()).get(id)!;
  deepEqual({ ...actual, tagged: [...actual.tagged] }, { ...expected, tagged: [...expected.tagged] }, id);
}

function expectEffective(
  actual: EffectivePortState,
  desired: DesiredPort,
  fixture: SwitchFixture,
  id: PortId,
): void {
  equal(actual.up, desired.admin === 'up', `${id} up`);
  // What a port that is shut would do with frames is not everywhere visible.
  if (!actual.up) return;
  equal(actual.native, desired.native === 'default' ? fixture.defaultVlan : desired.native, `${id} native`);
  deepEqual([...actual.tagged], [...desired.tagged], `${id} tagged`);
}

function randomPort(random: (below: number) => number, fixture: SwitchFixture): DesiredPort {
  if (random(5) === 0) return port(null, [], 'down');
  if (random(5) === 0 && fixture.defaultVlan !== null) return port('default', []);
  const native = vlans[random(vlans.length)]!;
  const tagged = vlans.filter((id) => id !== native && random(2) === 0);
  return port(native, tagged, random(4) === 0 ? 'down' : 'up');
}

/** Mulberry32: small, and the same everywhere, so that a seed repeats a failure. */
function randomFrom(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

function withCode(code: DeviceCode): (error: unknown) => boolean {
  return (error) => {
    ok(error instanceof DeviceError, `not a DeviceError: ${String(error)}`);
    equal(error.code, code, error.message);
    return true;
  };
}
