import assert from 'node:assert/strict';
import fs, { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { MachineId } from '../../src/core/machine/machine.ts';
import { NotesFiles } from '../../src/operations/timeline/notes-files.ts';
import type { NotedEvent } from '../../src/operations/timeline/record-event.ts';

// A disk that was full when the first event was noted left an empty file, and "EEXIST" for every event after it, until the next start.
// One that was full when the file was to be cut left a descriptor open with each unit of work, until there were none; and a part of a line
// took the next one with it.
describe('the files of events that wait, on a full disk', () => {
  const { writeSync } = fs;
  /** Bytes that the disk still takes. */
  let room = Number.POSITIVE_INFINITY;
  let folder: string;

  before(() => {
    fs.writeSync = ((file: number, data: Uint8Array | string, offset?: number | null) => {
      const bytes = Buffer.from(data as Uint8Array).subarray(offset ?? 0);
      if (room < 1) throw Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
      const written = writeSync(file, bytes.subarray(0, Math.min(bytes.length, room)));
      room -= written;
      return written;
    }) as typeof writeSync;
    syncBuiltinESMExports();
  });

  after(() => {
    fs.writeSync = writeSync;
    syncBuiltinESMExports();
  });

  beforeEach(() => {
    room = Number.POSITIVE_INFINITY;
    folder = mkdtempSync(join(tmpdir(), 'csbm-notes-'));
  });

  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const event = (id: string, text = 'said'): NotedEvent => {
    return { id, at: 1, machineId: 'abc123' as MachineId, kind: 'power', text };
  };
  const descriptors = (): number => readdirSync('/proc/self/fd').length;
  /** What the next process finds after this one was killed. */
  const found = (): readonly string[] => {
    const [name = ''] = readdirSync(folder);
    const lines = fs.readFileSync(join(folder, name), 'utf8').split('\n');
    fs.writeFileSync(join(folder, name), ['of a dead process', ...lines.slice(1)].join('\n'));
    return new NotesFiles(folder).leftBehind().flatMap(({ events }) => events.map(({ id }) => id));
  };
  const full = { code: 'ENOSPC' };

  it('are begun as soon as there is room', () => {
    const files = new NotesFiles(folder);
    for (room of [0, 5]) assert.throws(() => files.add(event('lost')), full);
    room = Number.POSITIVE_INFINITY;
    files.add(event('kept'));
    assert.deepEqual(found(), ['kept']);
    files.close();
  });

  it('keep what comes after a line that was cut', () => {
    const files = new NotesFiles(folder);
    files.add(event('first'));
    room = 20;
    assert.throws(() => files.add(event('cut')), full);
    room = Number.POSITIVE_INFINITY;
    files.add(event('second'));
    files.add(event('third'));
    assert.deepEqual(found(), ['first', 'second', 'third']);
    files.close();
  });

  it('stay whole, and cost nothing, where they cannot be cut', function () {
    if (process.platform !== 'linux') this.skip();
    const files = new NotesFiles(folder);
    files.add(event('waits'));
    const long = 'x'.repeat(400_000);
    for (const id of ['a', 'b', 'c']) files.add(event(id, long));
    const before = descriptors();
    for (let i = 0; i < 20; i += 1) {
      room = 30;
      assert.throws(() => files.settle(['a', 'b', 'c']), full);
    }
    assert.equal(descriptors(), before);
    room = Number.POSITIVE_INFINITY;
    files.settle([]);
    files.add(event('later'));
    assert.deepEqual(found(), ['waits', 'later']);
    files.close();
  });
});
