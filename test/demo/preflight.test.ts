import assert from 'node:assert/strict';
import { judge, type MachineFacts } from '../../lab/demo/preflight.mjs';

const gibibyte = 2 ** 30;
const good: MachineFacts = {
  node: '20.19.0',
  disks: [{ folder: '/here', freeBytes: gibibyte }],
  memoryBytes: gibibyte,
};

describe("the demo's first look at the machine", () => {
  it('is content with just enough', () => {
    assert.deepEqual(
      judge(good).map(({ ok }) => ok),
      [true, true, true],
    );
  });

  for (const node of ['20.19.0', '20.20.1', '22.0.0', '24.1.0'])
    it(`takes Node ${node}`, () => assert.equal(judge({ ...good, node })[0]!.ok, true));

  for (const node of ['20.18.3', '18.20.0', '8.9.4'])
    it(`refuses Node ${node} and says what to install`, () => {
      const [verdict] = judge({ ...good, node, disks: null });
      assert.equal(verdict!.ok, false);
      assert.match(verdict!.sentence, /too old: install version 20\.19 or newer/);
    });

  it('refuses too little disk or memory, with one sentence each that says what to do', () => {
    const verdicts = judge({
      ...good,
      disks: [{ folder: '/full', freeBytes: gibibyte / 2 }],
      memoryBytes: gibibyte / 4,
    });
    assert.deepEqual(
      verdicts.map(({ ok }) => ok),
      [true, false, false],
    );
    assert.match(verdicts[1]!.sentence, /only 0\.5 GiB are free in \/full.*: delete something/);
    assert.match(verdicts[2]!.sentence, /only 0\.3 GiB are available.*: close other programs/);
  });
});
