import assert from 'node:assert/strict';
import fc from 'fast-check';
import { DeviceError, type DiskFacts, type Evidence } from '../../../plugin-api/index.ts';
import { judgeErase, type ErasedDisk, type ProvenGrade } from '../../../src/core/machine/erase-evidence.ts';

const gib = 1024 ** 3;
const disk = (name: string, serial: string, more: Partial<DiskFacts> = {}): DiskFacts => ({
  name,
  model: 'M',
  serial,
  bytes: gib,
  rotational: false,
  removable: false,
  readOnly: false,
  ...more,
});
const erased = (name: string, serial: string, more: Partial<ErasedDisk> = {}): ErasedDisk => ({
  name,
  serial,
  bytes: gib,
  grade: 'full',
  method: 'overwrite-zero',
  secureCapable: false,
  signaturesLeft: 0,
  samples: 16,
  dirtySamples: 0,
  seconds: 3,
  ...more,
});

function judged(
  reported: readonly ErasedDisk[],
  inventory: readonly DiskFacts[],
  asked: ProvenGrade = 'full',
): Evidence | DeviceError {
  return judgeErase({ disks: reported }, inventory, asked);
}

function refused(verdict: Evidence | DeviceError): DeviceError {
  assert.ok(verdict instanceof DeviceError, 'the erase was accepted');
  return verdict;
}

function accepted(verdict: Evidence | DeviceError): Evidence {
  assert.ok(!(verdict instanceof DeviceError), verdict instanceof DeviceError ? verdict.message : '');
  return verdict;
}

describe('erase evidence', () => {
  it('accepts an erase of every disk, with the report as data', () => {
    const evidence = accepted(
      judged([erased('vda', 'S1'), erased('vdb', 'S2')], [disk('vda', 'S1'), disk('vdb', 'S2')]),
    );
    assert.equal(evidence.verified, true);
    assert.match(evidence.summary, /vda .*S1.* full by overwrite-zero/);
    assert.equal((evidence.data?.['disks'] as unknown[]).length, 2);
  });

  it('finds a disk by serial when names have moved', () => {
    accepted(judged([erased('vdb', 'S1'), erased('vda', 'S2')], [disk('vda', 'S1'), disk('vdb', 'S2')]));
  });

  it('finds a disk without serial by its name and size', () => {
    accepted(judged([erased('vda', '')], [disk('vda', '')]));
    assert.equal(refused(judged([erased('vdb', '')], [disk('vda', '')])).code, 'deploy.disk-missing');
    assert.equal(
      refused(judged([erased('vda', '', { bytes: 2 * gib })], [disk('vda', '')])).code,
      'deploy.disk-missing',
    );
  });

  it('misses a disk that is absent, a twin serial that is there once, and one that shrank', () => {
    const missing = refused(judged([erased('vda', 'S1')], [disk('vda', 'S1'), disk('vdb', 'S2')]));
    assert.equal(missing.code, 'deploy.disk-missing');
    assert.match(missing.message, /vdb \(S2/);
    assert.equal(
      refused(judged([erased('vda', 'S1')], [disk('vda', 'S1'), disk('vdb', 'S1')])).code,
      'deploy.disk-missing',
    );
    assert.equal(
      refused(judged([erased('vda', 'S1', { bytes: gib - 512 })], [disk('vda', 'S1')])).code,
      'deploy.disk-missing',
    );
    assert.equal(refused(judged([], [disk('vda', 'S1')])).code, 'deploy.disk-missing');
  });

  it('does not expect read-only and removable disks, but judges what was erased besides', () => {
    accepted(
      judged(
        [erased('vda', 'S1')],
        [disk('vda', 'S1'), disk('sr0', 'X', { readOnly: true }), disk('sdb', 'Y', { removable: true })],
      ),
    );
    const stranger = erased('vdz', 'unknown', { dirtySamples: 1 });
    assert.equal(
      refused(judged([erased('vda', 'S1'), stranger], [disk('vda', 'S1')])).code,
      'deploy.erase-unproven',
    );
  });

  const unproven: readonly [string, Partial<ErasedDisk>, ProvenGrade][] = [
    ['a lower grade than asked', { grade: 'quick' }, 'full'],
    [
      'full where the disk could have erased itself securely',
      { grade: 'full', secureCapable: true },
      'secure',
    ],
    ['quick where secure was asked of a disk that cannot', { grade: 'quick' }, 'secure'],
    ['signatures left', { signaturesLeft: 1 }, 'full'],
    ['signatures left after quick', { grade: 'quick', signaturesLeft: 1 }, 'quick'],
    ['a dirty sample', { dirtySamples: 1 }, 'full'],
    ['a dirty sample after secure', { grade: 'secure', secureCapable: true, dirtySamples: 1 }, 'secure'],
    ['nothing read back', { samples: 0 }, 'full'],
  ];
  for (const [what, more, asked] of unproven) {
    it(`does not accept ${what}`, () => {
      assert.equal(
        refused(judged([erased('vda', 'S1', more)], [disk('vda', 'S1')], asked)).code,
        'deploy.erase-unproven',
      );
    });
  }

  it('accepts full for secure where the disk has no secure erase, and dirty samples for quick', () => {
    accepted(judged([erased('vda', 'S1')], [disk('vda', 'S1')], 'secure'));
    accepted(
      judged([erased('vda', 'S1', { grade: 'secure', secureCapable: true })], [disk('vda', 'S1')], 'secure'),
    );
    accepted(
      judged(
        [erased('vda', 'S1', { grade: 'quick', samples: 9, dirtySamples: 9 })],
        [disk('vda', 'S1')],
        'quick',
      ),
    );
  });

  it('never accepts a report from which one expected disk was taken away', () => {
    const inventory = fc.array(
      fc.record({ name: fc.constantFrom('a', 'b', 'c'), serial: fc.constantFrom('', 'S1', 'S2') }),
      { minLength: 1, maxLength: 6 },
    );
    fc.assert(
      fc.property(inventory, fc.nat(), (disks, pick) => {
        const facts = disks.map((d) => disk(d.name, d.serial));
        const whole = disks.map((d) => erased(d.name, d.serial));
        accepted(judged(whole, facts));
        refused(judged(whole.toSpliced(pick % whole.length, 1), facts));
      }),
    );
  });
});
