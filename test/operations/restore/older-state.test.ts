import assert from 'node:assert/strict';
import { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import type { MachineId } from '../../../src/core/machine/machine.ts';
import { HistoryFile, type RememberedHistory } from '../../../src/operations/restore/history-file.ts';
import { recollect } from '../../../src/operations/restore/older-state.ts';

const id = (text: string): MachineId => text as MachineId;
const remembered: RememberedHistory = {
  databaseId: 'db-1',
  generation: 2,
  starts: 7,
  machines: new Map([
    [id('aaaaaa'), 4],
    [id('bbbbbb'), 1],
  ]),
};
const history = { databaseId: 'db-1', generation: 2, starts: 7, restored: null, version: 1 };
const machines = [
  { machineId: id('aaaaaa'), operations: 4, compared: null },
  { machineId: id('bbbbbb'), operations: 1, compared: null },
];

describe('whether a database is older than it was', () => {
  it('is no question without a memory, and none of a database that went on', () => {
    assert.deepEqual(recollect(null, history, machines, true), { older: null, lost: null });
    assert.equal(recollect(remembered, history, machines, true).older, null);
    const on = machines.map((one) => ({ ...one, operations: one.operations + 1 }));
    const found = recollect(remembered, { ...history, starts: 9 }, on, true);
    assert.deepEqual(found, { older: null, lost: new Map() });
  });

  it('shows by a missing operation, machine, start, or accepted restore', () => {
    const one = machines.map((row) => (row.machineId === 'aaaaaa' ? { ...row, operations: 2 } : row));
    const found = recollect(remembered, history, one, true);
    assert.match(found.older!, /lacks 2 operations/);
    assert.deepEqual([...found.lost!], [['aaaaaa', 2]]);
    assert.match(recollect(remembered, history, machines.slice(1), true).older!, /lacks 4 operations/);
    assert.match(recollect(remembered, { ...history, starts: 6 }, machines, true).older!, /last start/);
    assert.match(recollect(remembered, { ...history, generation: 1 }, machines, true).older!, /last start/);
  });

  it('is assumed of another database, unless that is empty', () => {
    const other = { ...history, databaseId: 'db-2' };
    assert.match(recollect(remembered, other, machines, true).older!, /not the database/);
    assert.equal(recollect(remembered, other, [], false).older, null);
  });

  it('is not said of one whose restore was accepted at another instance', () => {
    assert.equal(recollect(remembered, { ...history, generation: 3 }, [], true).older, null);
  });
});

describe('the history file', () => {
  let folder: string;
  let file: HistoryFile;

  beforeEach(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'csbm-history-'));
    file = new HistoryFile(path.join(folder, 'state', 'history'));
  });

  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it('gives back what was written and noted, for its owner only', () => {
    assert.equal(file.read(), null);
    file.write(remembered);
    file.note(id('bbbbbb'), 2);
    file.note(id('cccccc'), 1);
    assert.deepEqual(
      [...file.read()!.machines],
      [
        ['aaaaaa', 4],
        ['bbbbbb', 2],
        ['cccccc', 1],
      ],
    );
    assert.equal(statSync(file.path).mode & 0o777, 0o600);
  });

  it('never remembers more than was written when its end is cut off', () => {
    const ids = fc.stringMatching(/^[a-z0-9]{6}$/);
    fc.assert(
      fc.property(fc.array(fc.tuple(ids, fc.nat(99))), fc.nat(200), (notes, cut) => {
        file.write(remembered);
        const highest = new Map(remembered.machines);
        for (const [name, count] of notes) {
          file.note(id(name), count);
          highest.set(id(name), Math.max(count, highest.get(id(name)) ?? 0));
        }
        const text = readFileSync(file.path, 'utf8');
        writeFileSync(file.path, text.slice(0, Math.max(0, text.length - cut)));
        for (const [name, count] of file.read()?.machines ?? []) assert.ok(count <= highest.get(name)!);
      }),
      { numRuns: 50 },
    );
  });

  it('is no memory where it says nothing', () => {
    file.write(remembered);
    for (const text of ['', 'nonsense', '{}', '[1]', 'null', '{"databaseId":1}']) {
      writeFileSync(file.path, text);
      appendFileSync(file.path, '\naaaaaa 3\n');
      assert.equal(file.read(), null, text);
    }
  });
});
