import assert from 'node:assert/strict';
import { Draw } from './draw.ts';
import { faultKinds } from './faults/index.ts';
import { drawRun, type RunPlan } from './run-plan.ts';

const draw = (seed: number, needs: { engine: 'native' | 'maas'; store: 'sqlite' | 'mariadb' }): RunPlan =>
  drawRun(new Draw(seed), { machines: 3, users: 2, instances: 1, kinds: faultKinds, ...needs });
const usual = { engine: 'native', store: 'sqlite' } as const;
const shown = ({ faults, ...rest }: RunPlan): string =>
  JSON.stringify([rest, faults.map(({ kind, machine, from, lasts }) => [kind.name, machine, from, lasts])]);

describe('what a run of chaos draws', () => {
  it('comes from the seed alone', () => {
    for (let seed = 1; seed <= 50; seed += 1)
      assert.equal(shown(draw(seed, usual)), shown(draw(seed, usual)));
    const different = new Set(Array.from({ length: 50 }, (_, n) => shown(draw(n + 1, usual))));
    assert.equal(different.size, 50);
  });

  it('has every kind of fault that there is, where it can be', () => {
    for (const needs of [usual, { engine: 'maas', store: 'mariadb' } as const]) {
      const plans = Array.from({ length: 1_500 }, (_, n) => draw(n + 1, needs));
      const drawn = new Set(plans.flatMap(({ faults }) => faults.map(({ kind }) => kind.name)));
      const fit = faultKinds.filter(
        (kind) =>
          kind.needs === undefined ||
          kind.needs === needs.store ||
          (kind.needs === 'maas' && needs.engine === 'maas'),
      );
      assert.deepEqual([...drawn].sort(), fit.map(({ name }) => name).sort());
    }
  });

  it('never has two faults of which one would hide what the other does', () => {
    for (let seed = 1; seed <= 1_500; seed += 1) {
      const names = draw(seed, usual).faults.map(({ kind }) => kind);
      for (const kind of names)
        assert.deepEqual(
          names.filter(({ name }) => kind.not?.includes(name)),
          [],
          `seed ${seed}`,
        );
    }
  });
});
