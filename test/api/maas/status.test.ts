import assert from 'node:assert/strict';
import fc from 'fast-check';
import { machineTransitions, type MachineState, type Quarantine } from '../../../src/core/machine/machine.ts';
import type { OperationKind } from '../../../src/core/storage/journal-records.ts';
import {
  simpleStatuses,
  statesOf,
  statusMessage,
  statusNames,
  statusOf,
  type StatusNumber,
  type StatusSources,
} from '../../../src/api/maas/status.ts';

/** MAAS's own table of what may follow what (maasserver/node_status.py, NODE_TRANSITIONS). */
const nodeTransitions: Readonly<Record<number, readonly number[]>> = {
  0: [1, 21, 4, 8, 3, 7, 17],
  1: [2, 4, 0, 21, 8, 3, 7],
  2: [1, 21, 8, 3, 7, 17],
  4: [1, 10, 5, 21, 8, 3, 7, 17],
  6: [10, 4, 12, 14, 21, 8, 3, 17],
  8: [1, 4, 6, 12, 14, 21, 17],
  9: [6, 11, 10, 4, 12, 14, 8, 3],
  10: [9, 4, 12, 14, 21, 8, 3, 7, 17],
  11: [10, 4, 12, 14, 21, 8, 3, 17],
  12: [4, 0, 10, 5, 6, 11, 15, 13, 8, 3],
  13: [12, 14, 4, 8, 21],
  14: [15, 12, 4, 8, 14],
  15: [14, 12, 4, 10, 8, 21, 17],
};

/** What MAAS itself never does, and why it happens here. */
const exceptions: Readonly<Record<string, string>> = {
  '8 0': 'a person lifts the quarantine of a machine that is not commissioned yet',
  '8 10': 'a person lifts the quarantine of an allocated machine, which stays with its user',
  '8 11': 'a person lifts the quarantine of a failed deployment, which stays with its user',
  '8 13': 'a person lifts the quarantine of a machine whose release failed',
  '8 15': 'a person lifts the quarantine of a machine that must be erased',
  '9 15': "CloudStack's start failed: its claim is gone, and the disks must be erased",
  '4 14': 'an operator erases a ready machine once more',
  '4 9': 'CloudStack claims and starts in one',
  '15 1': 'an operator commissions a machine that should be erased: commissioning erases',
  '4 12': 'an operator erases a ready machine once more, told as Releasing',
};

interface Sight extends StatusSources {
  readonly machine: {
    readonly state: MachineState;
    readonly quarantine: Quarantine | null;
    readonly cpus: number;
  };
}

const withheld: Quarantine = { code: 'x', reason: 'because', fenced: false, since: 1 };
const op = (kind: OperationKind): StatusSources['active'] => ({ kind });

/** What operations and people can do next, as `src/operations` does it. */
function steps(sight: Sight): readonly Sight[] {
  const { machine, claim, deployment, active } = sight;
  const to = (
    state: MachineState,
    more: Partial<Sight> = {},
    patch: Partial<Sight['machine']> = {},
  ): Sight => ({
    ...sight,
    ...more,
    machine: { ...machine, state, ...patch },
  });
  const { state } = machine;
  const user = { holder: 'user' } as const;
  const next: Sight[] = [];
  if (!machine.quarantine) next.push(to(state, {}, { quarantine: withheld }));
  else if (!active) next.push(to(state, {}, { quarantine: null }));
  if (machine.quarantine && !active && state === 'failed' && !claim)
    next.push(to('ready', {}, { quarantine: null }));
  switch (active?.kind) {
    case undefined:
      if (!claim && ['new', 'ready', 'failed'].includes(state)) {
        next.push(to(state, { active: op('commission') }));
        if (state !== 'new') next.push(to(state, { active: op('erase') }));
      }
      if (state === 'ready' && !machine.quarantine) {
        if (claim) next.push(to(state, { claim: null }), to(state, { active: op('start') }));
        else
          next.push(
            to(state, { claim: user }),
            to('deploying', { claim: { holder: 'instance' }, active: op('start') }),
          );
      }
      if (state === 'deployed')
        next.push(to(state, { active: op('start') }), to(state, { active: op('stop') }));
      if (claim && ['deployed', 'failed'].includes(state)) next.push(to(state, { active: op('destroy') }));
      break;
    case 'commission':
      if (state === 'commissioning')
        next.push(
          to('ready', { active: null }, { cpus: 8, quarantine: null }),
          to('new', { active: null }),
          to('new', { active: null }, { quarantine: withheld }),
        );
      else next.push(to('commissioning'));
      break;
    case 'start':
      if (deployment?.state === 'installed') next.push(to('deployed', { active: null }));
      else if (state === 'ready') next.push(to('deploying'));
      else if (!deployment) next.push(to('deploying', { deployment: { state: 'installing' } }));
      else next.push(to('deployed', { deployment: { state: 'installed' }, active: null }));
      if (state === 'deploying') {
        const kept = claim?.holder === 'user' ? claim : null;
        const ended = { active: null, deployment: null, claim: kept };
        next.push(to(deployment ? 'failed' : 'ready', ended), to('failed', ended, { quarantine: withheld }));
      }
      break;
    case 'stop':
      next.push(to(state, { active: null }));
      break;
    case 'destroy':
      if (state !== 'releasing' && state !== 'erasing') next.push(to('releasing'));
      else {
        const gone = { active: null, claim: null, deployment: null };
        next.push(to('ready', gone), to('failed', gone, { quarantine: withheld }));
        if (state === 'releasing') next.push(to('erasing'), to('failed', { active: null }));
      }
      break;
    case 'erase':
      if (state !== 'erasing') next.push(to('erasing'));
      else
        next.push(
          to('ready', { active: null }, { quarantine: null }),
          to('failed', { active: null }, { quarantine: withheld }),
        );
      break;
    default:
      break;
  }
  return next;
}

describe('status of a machine in MAAS’s words', () => {
  const start: Sight = {
    machine: { state: 'new', quarantine: null, cpus: 0 },
    claim: null,
    deployment: null,
    active: null,
  };

  for (const eraseShownAs of ['Disk erasing', 'Releasing'] as const)
    it(`only moves as MAAS's own table allows it, but for the exceptions told here (an erase is told as ${eraseShownAs})`, () => {
      fc.assert(
        fc.property(fc.array(fc.nat(), { maxLength: 80 }), (choices) => {
          let sight = start;
          for (const choice of choices) {
            const possible = steps(sight);
            const next = possible[choice % possible.length]!;
            const { state: from } = sight.machine;
            const { state: to } = next.machine;
            assert.ok(
              from === to || machineTransitions[from].includes(to),
              `${from} -> ${to} is none of ours`,
            );
            const before = statusOf(sight, eraseShownAs).status;
            const { status: after, status_name } = statusOf(next, eraseShownAs);
            assert.equal(status_name, statusNames[after]);
            const allowed = before === after || nodeTransitions[before]!.includes(after);
            assert.ok(
              allowed || Object.hasOwn(exceptions, `${before} ${after}`),
              `${statusNames[before]} -> ${statusNames[after]} (${JSON.stringify(sight)} -> ${JSON.stringify(next)})`,
            );
            sight = next;
          }
        }),
        { numRuns: 500 },
      );
    });

  it('tells a command from the moment that it is journaled', () => {
    const of = (kind: OperationKind, state: MachineState, more: Partial<Sight> = {}): string =>
      statusOf({ ...start, ...more, machine: { ...start.machine, state }, active: op(kind) }, 'Disk erasing')
        .status_name;
    const claim = { holder: 'user' } as const;
    const deployment = { state: 'installed' } as const;
    assert.equal(of('commission', 'new'), 'Commissioning');
    assert.equal(of('start', 'ready', { claim }), 'Deploying');
    assert.equal(of('destroy', 'deployed', { claim, deployment }), 'Releasing');
    assert.equal(of('erase', 'failed'), 'Disk erasing');
    assert.equal(of('start', 'deployed', { claim, deployment }), 'Deployed');
    assert.equal(of('reboot', 'deployed', { claim, deployment }), 'Deployed');
  });

  it('tells who failed at what', () => {
    const of = (more: Partial<Sight>, cpus = 8): string =>
      statusOf({ ...start, ...more, machine: { state: 'failed', quarantine: null, cpus } }, 'Disk erasing')
        .status_name;
    assert.equal(of({ claim: { holder: 'user' } }), 'Failed deployment');
    assert.equal(of({ claim: { holder: 'user' }, deployment: { state: 'installed' } }), 'Releasing failed');
    assert.equal(of({}), 'Failed disk erasing');
    assert.equal(of({}, 0), 'Failed commissioning');
  });

  it('reads no fewer states than can have a status', () => {
    for (const state of Object.keys(machineTransitions) as MachineState[])
      for (const claim of [null, { holder: 'user' }] as const)
        for (const active of [null, op('start'), op('erase'), op('destroy'), op('commission')]) {
          const { status } = statusOf(
            { ...start, claim, active, machine: { ...start.machine, state } },
            'Disk erasing',
          );
          const states = statesOf(new Set([status]));
          assert.ok(states === null || states.includes(state), `${status} of ${state}`);
        }
    assert.deepEqual(statesOf(new Set<StatusNumber>([4, 6])), ['ready', 'deployed']);
    assert.equal(statesOf(new Set<StatusNumber>([4, 9])), null);
  });

  it('counts only statuses that there are to its groups', () => {
    for (const group of Object.values(simpleStatuses))
      for (const status of group) assert.ok(statusNames[status]);
  });

  it('says what goes on, or why a machine is withheld', () => {
    const requester = { principal: 'anna', door: 'maas', reason: '' };
    assert.equal(statusMessage({ quarantine: null }, null), null);
    assert.equal(statusMessage({ quarantine: withheld }, null), 'Withheld - because');
    assert.match(
      statusMessage({ quarantine: withheld }, { kind: 'start', state: 'undoing', requester })!,
      /^Operation - undoing a start, asked for by anna$/,
    );
  });
});
