import assert from 'node:assert/strict';
import { CodedError } from '../../../plugin-api/index.ts';
import { roles, type Role } from '../../../src/core/access/principal.ts';
import { actions, authorise, authoriseOn, type Action } from '../../../src/core/access/rights.ts';

/** Role by role, a letter for each of the roles that may: written down here a second time, on purpose. */
const table: Readonly<Record<Action, string>> = {
  'cloud.read': 'admin operator viewer',
  'cloud.write': 'admin operator',
  'machine.read': 'admin operator viewer cloud user',
  'machine.timeline': 'admin operator viewer',
  'machine.enrol': 'admin operator',
  'machine.forget': 'admin operator',
  'machine.withhold': 'admin operator',
  'machine.console': 'admin operator',
  'machine.clear-events': 'admin operator',
  'machine.claim': 'admin operator user',
  'machine.describe': 'admin operator user',
  'operation.cancel': 'admin operator user',
  'operation.commission': 'admin operator',
  'operation.start': 'admin operator cloud user',
  'operation.stop': 'admin operator cloud user',
  'operation.reboot': 'admin operator cloud user',
  'operation.plug-nic': 'admin operator cloud',
  'operation.unplug-nic': 'admin operator cloud',
  'operation.destroy': 'admin operator cloud user',
  'operation.erase': 'admin operator',
  'pool.write': 'admin operator',
  'rack.write': 'admin operator',
  'rack.check': 'admin operator',
  'image.read': 'admin operator viewer cloud user',
  'image.write': 'admin operator',
  'metrics.read': 'admin operator viewer',
  'principal.manage': 'admin',
  'service.prune': 'admin operator',
  'service.read': 'admin operator viewer cloud user',
  'restore.accept': 'admin operator',
};
/** What no limited scope may do, whatever the role. */
const whole: readonly Action[] = [
  'restore.accept',
  'rack.write',
  'pool.write',
  'image.write',
  'metrics.read',
  'principal.manage',
  'cloud.read',
  'cloud.write',
  'service.prune',
];

const inside = { id: 'aaaaaa', hostname: 'in', site: 's', pool: 'gpu', cloudPlace: null };
const outside = { ...inside, id: 'bbbbbb', hostname: 'out', pool: 'cpu' };

describe('who may do what', () => {
  it('every action is in the table', () => {
    assert.deepEqual(Object.keys(table).sort(), [...actions].sort());
  });

  for (const role of roles)
    for (const action of actions) {
      const may = table[action].split(' ').includes(role);
      it(`${role} ${may ? 'may' : 'may not'} ${action}`, () => {
        const everything = { principal: 'p', role, scope: '*' };
        const limited = { ...everything, scope: 'pool:gpu' };
        assert.equal(
          codeOf(() => authorise(everything, action)),
          may ? null : 'request.forbidden',
        );
        assert.equal(
          codeOf(() => authoriseOn(everything, action, outside, 'out')),
          may ? null : 'request.forbidden',
        );
        const inScope = !may ? 'request.forbidden' : whole.includes(action) ? 'access.scope' : null;
        assert.equal(
          codeOf(() => authoriseOn(limited, action, inside, 'in')),
          inScope,
        );
        const beyond = may ? 'access.scope' : 'request.forbidden';
        assert.equal(
          codeOf(() => authoriseOn(limited, action, outside, 'out')),
          beyond,
        );
      });
    }

  it('a machine that is not there and one outside the scope are told in the same words', () => {
    const by = { principal: 'p', role: 'operator' as Role, scope: 'pool:gpu' };
    const text = (machine: typeof outside | null): string => {
      try {
        authoriseOn(by, 'operation.stop', machine, 'out');
        return 'allowed';
      } catch (error) {
        return (error as Error).message;
      }
    };
    assert.equal(text(outside), text(null));
    assert.notEqual(text(null), 'allowed');
    // Who sees everything is told by whoever looks for it.
    assert.equal(
      codeOf(() => authoriseOn({ ...by, scope: '*' }, 'operation.stop', null, 'out')),
      null,
    );
  });
});

function codeOf(work: () => void): string | null {
  try {
    work();
    return null;
  } catch (error) {
    assert.ok(error instanceof CodedError);
    return error.code;
  }
}
