import assert from 'node:assert/strict';
import { LateWrites } from './late-writes.ts';

const says = (connection: number, text: string): string => `\t\t    ${connection} ${text}\n`;
const connects = (connection: number, user: string): string =>
  says(connection, `Connect\t${user}@localhost on csbm using Socket`);
const unit = (connection: number, ...statements: readonly string[]): string =>
  ['BEGIN', ...statements, 'COMMIT']
    .map((one) => says(connection, `${one.includes(' ') ? 'Execute' : 'Query'}\t${one}`))
    .join('');
const comes = (id: string): string => `INSERT INTO \`instance\`(\`id\`, \`name\`) VALUES ('${id}', 'vm/1')`;
const buries = (id: string): string =>
  `UPDATE \`instance\` SET \`state\` = 'gone', \`reason\` = 'silent' WHERE \`id\` = '${id}' AND \`state\` IN ('alive')`;
const write = 'UPDATE `lease` SET `owner` = NULL WHERE `name` = 1';
const two =
  connects(1, 'process_0') +
  unit(1, comes('in-a')) +
  connects(2, 'process_1') +
  unit(2, comes('in-b')) +
  connects(3, 'process_0');

// docs/chaos.md
describe('what is stored by an instance that was declared gone', () => {
  it('is told, whichever connection it comes over', () => {
    for (const connection of [1, 3]) {
      const late = new LateWrites();
      assert.deepEqual(late.read(two + unit(2, buries('in-a'))), []);
      const [told, ...more] = late.read(unit(connection, write));
      assert.match(told!, /instance in-a was declared gone, and stored after that: UPDATE `lease`/);
      assert.deepEqual(more, []);
    }
  });

  it('is not told of what came before, was rolled back, only reads, or is another’s', () => {
    const late = new LateWrites();
    assert.deepEqual(late.read(two + unit(1, write) + unit(2, buries('in-a'))), []);
    assert.deepEqual(late.read(unit(1, 'SELECT 1 FROM `lease`') + unit(2, write)), []);
    assert.deepEqual(late.read(unit(3, write).replace('COMMIT', 'ROLLBACK')), []);
  });

  it('is not told where the declaration itself was rolled back', () => {
    const late = new LateWrites();
    assert.deepEqual(late.read(two + unit(2, buries('in-a')).replace('COMMIT', 'ROLLBACK')), []);
    assert.deepEqual(late.read(unit(1, write)), []);
  });

  it('is found in a log that comes in pieces, and not taken from before the server was started again', () => {
    const late = new LateWrites();
    const text = two + unit(2, buries('in-a')) + unit(1, write);
    assert.equal(Array.from(text, (letter) => late.read(letter)).flat().length, 1);
    assert.deepEqual(late.read(`mariadbd, Version: 10.11 started with:\n${unit(1, write)}`), []);
  });
});
