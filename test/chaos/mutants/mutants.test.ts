import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { matches } from './apply-edit.mjs';
import { hunt, type Hunt } from './hunt.ts';
import { sourceOf } from './mutant.ts';
import { mutants } from './mutants.ts';

/** Those that nearly every run meets; `make chaos-mutants` hunts all. */
const quick = ['VLAN of another tenant', 'port open while it moves', 'erase weaker than told'];

// docs/chaos.md
describe('a service that is broken on purpose', function () {
  this.timeout(600_000);

  it('can be made of every mutant: what it changes stands in the sources, once', () => {
    for (const { name, edits } of mutants) {
      assert.ok(edits.length > 0, name);
      for (const edit of edits)
        assert.equal(
          matches(readFileSync(sourceOf(edit), 'utf8'), edit),
          1,
          `${name}: ${edit.file}: ${edit.find}`,
        );
    }
    assert.equal(new Set(mutants.map(({ name }) => name)).size, mutants.length);
  });

  it('is noticed by chaos', async () => {
    const chosen = mutants.filter(({ name }) => quick.includes(name));
    assert.equal(chosen.length, quick.length);
    const hunts = await Promise.all(
      chosen.map((mutant) => hunt(mutant, { engine: 'native', store: 'sqlite', seed: 1, most: 6 })),
    );
    assert.deepEqual(
      hunts.filter(({ caught }) => !caught).map(({ mutant }) => mutant.name),
      [],
      'nobody noticed these',
    );
    process.stderr.write(`      ${hunts.map(told).join('; ')}\n`);
  });
});

function told({ mutant, caught, seconds }: Hunt): string {
  return `${mutant.name}: SEED=${caught!.seed}, ${seconds.toFixed(0)} s`;
}
