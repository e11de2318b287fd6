import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, statSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { MachineId } from '../../src/core/machine/machine.ts';
import { HistoryFile } from '../../src/operations/restore/history-file.ts';
import { recollect } from '../../src/operations/restore/older-state.ts';

// A full disk left the beginning of a line; the next line went on with it, and named a machine that never was, with operations that the
// database lacks: at the next start the service took its database for an older one, and went on with nothing.
it('what a full disk left of a line in the history file does not make the database look older', () => {
  const folder = mkdtempSync(join(tmpdir(), 'csbm-cut-'));
  try {
    const one = 'aaaaaa' as MachineId;
    const facts = { databaseId: 'db-1', generation: 1, starts: 1 };
    const history = { ...facts, starts: 2, restored: null, version: 1 };
    const line = `${one} 12\n`.length + 1;
    for (let cut = 0; cut <= line; cut += 1) {
      const file = new HistoryFile(join(folder, 'history'));
      file.write({ ...facts, machines: new Map([[one, 11]]) });
      file.note(one, 12);
      truncateSync(file.path, statSync(file.path).size - cut);
      file.note(one, 13);
      const known = [{ machineId: one, operations: 13, compared: null }];
      assert.deepEqual(recollect(file.read(), history, known, true).older, null, `${cut} characters cut`);
      assert.equal(file.read()!.machines.get(one), 13);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
