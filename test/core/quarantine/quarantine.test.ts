import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { PortId } from '../../../plugin-api/index.ts';
import type { MachineId } from '../../../src/core/machine/machine.ts';
import {
  afterFailure,
  bySubject,
  describeWithholding,
  isReason,
  joined,
  placeOfPort,
  portSubject,
  recent,
  withholdingOf,
  type QuarantineRecord,
  type SubjectKind,
  type Trouble,
} from '../../../src/core/quarantine/quarantine.ts';

const record = (kind: SubjectKind, name: string, since: number | null = 1): QuarantineRecord => ({
  ...{ kind, name, code: 'switch.timeout', reason: `${kind} is ill`, since, by: 'csbm', count: 1, lastAt: 1 },
  ...{ liftedAt: null, liftedBy: null, liftedBecause: null },
});
const place = { switch: 'tor-a', port: 'TenGigabitEthernet 1/1' as PortId };
const machine = { id: 'abc123' as MachineId, quarantine: null };

describe('quarantine rules', () => {
  it('withhold a machine for itself, its BMC, a port or a switch of its own, and nothing else', () => {
    const active = [
      record('switch', 'tor-a'),
      record('port', portSubject(place).name),
      record('bmc', 'abc123'),
    ];
    const kinds = [active, active.slice(0, 2), active.slice(0, 1), []].map(
      (some) => withholdingOf(machine, [place], bySubject(some))?.kind ?? null,
    );
    assert.deepEqual(kinds, ['bmc', 'port', 'switch', null]);
    const own = { code: 'operation.fenced', reason: 'fenced', fenced: true, since: 3 };
    assert.equal(withholdingOf({ ...machine, quarantine: own }, [place], bySubject(active))?.kind, 'machine');
    const others = [record('switch', 'tor-b'), record('bmc', 'other1'), record('port', 'tor-a te9')];
    assert.equal(withholdingOf(machine, [place], bySubject(others)), null);
    assert.equal(
      withholdingOf(machine, [place], bySubject([record('switch', 'tor-a', null)])),
      null,
      'lifted',
    );
    assert.equal(withholdingOf(machine, [], bySubject(active.slice(0, 2))), null, 'cabled to nothing');
  });

  it('say in words what is withheld', () => {
    const found = withholdingOf(machine, [place], bySubject([record('switch', 'tor-a')]))!;
    assert.equal(describeWithholding(found), 'its switch tor-a is in quarantine: switch is ill');
  });

  it('give the place of a port back from its name', () => {
    assert.deepEqual(placeOfPort(portSubject(place).name), place);
  });

  it('call trouble lasting only after so many failures and so long', () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat(100), { minLength: 1, maxLength: 20 }),
        fc.integer({ min: 1, max: 10 }),
        fc.nat(500),
        (pauses, failures, lasting) => {
          let trouble: Trouble | null = null;
          const rule = { failures, lasting };
          let now = 0;
          let count = 0;
          for (const pause of pauses) {
            now += pause;
            count += 1;
            trouble = afterFailure(trouble, rule, now);
            const expected = count >= failures && now - pauses[0]! >= lasting;
            assert.equal(isReason(trouble, rule, now), expected);
          }
        },
      ),
    );
  });

  it('count the same, however the failures are spread over those who hear of them', () => {
    const rules = fc.oneof(
      fc.record({ failures: fc.integer({ min: 1, max: 6 }), lasting: fc.nat(300) }),
      fc.record({ failures: fc.integer({ min: 1, max: 6 }), within: fc.integer({ min: 1, max: 300 }) }),
    );
    fc.assert(
      fc.property(
        rules,
        fc.array(fc.nat(100), { minLength: 1, maxLength: 20 }),
        fc.nat(),
        (rule, pauses, cut) => {
          const moments = pauses.map((_, i) => pauses.slice(0, i + 1).reduce((a, b) => a + b));
          const now = moments.at(-1)!;
          const all = (some: readonly number[]): Trouble | null =>
            some.reduce<Trouble | null>((trouble, at) => afterFailure(trouble, rule, at), null);
          const at = cut % moments.length;
          const later = all(moments.slice(at))!;
          assert.deepEqual(joined(all(moments.slice(0, at)), later, rule, now), all(moments));
        },
      ),
    );
  });

  it('forget what is not recent', () => {
    assert.deepEqual(recent([0, 50, 99, 100], 50, 100), [99, 100]);
  });
});
