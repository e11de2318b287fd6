import type { MachineId } from '../../core/machine/machine.ts';
import { CodedError } from '../../../plugin-api/index.ts';
import type { Fields } from './fields.ts';
import type { MaasUser } from './handler.ts';
import { invalidField, MaasRefusal } from './maas-refusal.ts';
import { flagOf, refuseBridges } from './form-values.ts';
import { matchInterfaces, matchStorage, type Matches } from './machine-constraints.ts';
import type { MachineDesk } from './machine-desk.ts';
import { commonFilters, commonTests, said, type MachineQuery } from './machine-query.ts';
import type { MachineSight } from './machine-sight.ts';
import type { MaasContext } from './maas-context.ts';
import { Surroundings } from './surroundings.ts';

/** Parameters of `op=allocate`, for `describe/`. */
export const allocateParameters: Readonly<Record<string, string>> = {
  name: 'Hostname of the machine wanted.',
  system_id: 'System id of the machine wanted.',
  agent_name: 'Kept with the machine until it is released.',
  comment: 'Why, for the records.',
  dry_run: 'true: only say which machine it would be.',
  verbose: 'Taken and not needed.',
  bridge_all: 'Not supported: let the system make bridges by its user data.',
  ...commonFilters,
};

/** What names machines in an error, as MAAS lists them. */
const constraintNames = ['name', 'system_id', ...Object.keys(commonFilters)];

/** A machine that the asker holds now, or would. */
export interface Allocated {
  readonly id: MachineId;
  readonly constraintsByType: { readonly storage?: Matches; readonly interfaces?: Matches };
}

/**
 * Finds the cheapest machine that fits, and claims it; one that somebody else was faster to claim is passed over.
 * @throws MaasRefusal 409 when there is none, 400 for constraints that say nothing
 */
export async function allocate(
  context: Pick<MaasContext, 'storage' | 'allocations' | 'pools'>,
  desk: MachineDesk,
  user: MaasUser,
  fields: Fields,
): Promise<Allocated> {
  const { storage, allocations } = context;
  refuseBridges(fields);
  const { query, around } = await storage.run(async (tx) => {
    const around = await Surroundings.read(tx);
    const tests = await commonTests(tx, fields, around);
    const name = said(fields, 'name')?.at(-1)?.split('.', 1)[0];
    const id = said(fields, 'system_id')?.at(-1);
    const query: MachineQuery = {
      ids: id === undefined ? null : [id as MachineId],
      hostnames: name === undefined ? null : [name],
      macs: null,
      filter: { states: ['ready'], ...poolFilter(fields) },
      fits: (sight) =>
        (id === undefined || sight.machine.id === id) &&
        (name === undefined || sight.machine.hostname === name) &&
        tests.every((fits) => fits(sight)),
    };
    return { query, around };
  });
  const closed = new Set(
    (await context.pools.list()).filter(({ doors }) => !doors.includes('maas')).map(({ name }) => name),
  );
  let candidates: readonly MachineSight[] = [];
  for await (const sights of desk.pages(user, query, around)) {
    const free = sights.filter((sight) => isFree(sight, closed));
    candidates = [...candidates, ...free].sort((a, b) => cost(a) - cost(b)).slice(0, mostCandidates);
  }
  const dry = flagOf(fields, 'dry_run') === true;
  const agentName = fields.get('agent_name');
  for (const sight of candidates) {
    const { id } = sight.machine;
    try {
      if (!dry)
        await allocations.claim(
          id,
          user.asker(fields.get('comment')),
          agentName === undefined ? {} : { agentName },
        );
    } catch (thrown) {
      if (thrown instanceof CodedError && passedOver.has(thrown.code)) continue;
      throw thrown;
    }
    return { id, constraintsByType: matchesOf(fields, sight, around) };
  }
  throw noMachine(fields);
}

/** So many others may be faster before a request is refused, and so much memory does it take at most. */
const mostCandidates = 256;

/** Somebody else was faster, or the machine has changed since it was looked at. */
const passedOver: ReadonlySet<string> = new Set([
  'claim.machine-taken',
  'machine.state',
  'machine.quarantined',
  'machine.no-evidence',
  'machine.unknown',
  'operation.conflict',
  'operation.erasing',
  'store.conflict',
  'pool.door',
]);

function isFree({ machine, claim, active, withheld }: MachineSight, closed: ReadonlySet<string>): boolean {
  const { state, clean, cloudPlace, pool } = machine;
  return (
    state === 'ready' && !withheld && clean !== null && !cloudPlace && !claim && !active && !closed.has(pool)
  );
}

/** Small machines go first: the large ones stay for who needs them. */
function cost({ machine }: MachineSight): number {
  const terabytes = machine.disks.reduce((sum, { bytes }) => sum + bytes, 0) / 1e12;
  return machine.cpus + machine.memoryBytes / 2 ** 30 / 8 + terabytes;
}

function poolFilter(fields: Fields): { readonly pools?: readonly string[] } {
  const pools = said(fields, 'pool');
  return pools ? { pools } : {};
}

function matchesOf(
  fields: Fields,
  sight: MachineSight,
  around: Surroundings,
): Allocated['constraintsByType'] {
  const storage = said(fields, 'storage');
  const interfaces = said(fields, 'interfaces');
  return {
    ...(storage && { storage: matchStorage(storage.join(','), sight.machine) ?? {} }),
    ...(interfaces && { interfaces: matchInterfaces(interfaces.join(';'), sight, around.network) ?? {} }),
  };
}

/** In the words of MAAS: clients and people know them. */
function noMachine(fields: Fields): MaasRefusal {
  const given = constraintNames.flatMap((name) => {
    const values = said(fields, name);
    return values ? [[name, values] as const] : [];
  });
  if (given.length === 0) return new MaasRefusal(409, 'No machine available.');
  const id = said(fields, 'system_id')?.at(-1);
  if (given.length === 1 && id !== undefined)
    return new MaasRefusal(409, `No machine with system ID ${id} available.`);
  const listed = given.map(
    ([name, values]) => `('${name}', [${values.map((one) => `'${one}'`).join(', ')}])`,
  );
  const resolved = given.map(([name, values]) => `${name}=${values.join(',')}`).join(' ');
  return new MaasRefusal(
    409,
    `No available machine matches constraints: [${listed.join(', ')}] (resolved to "${resolved}")`,
  );
}

/** @throws MaasRefusal 400 naming the machines that are not there */
export function refuseUnknown(wanted: readonly string[], found: ReadonlySet<string>): void {
  const missing = wanted.filter((id) => !found.has(id));
  if (missing.length > 0) throw new MaasRefusal(400, `Unknown machine(s): ${missing.join(', ')}.`);
}

/** @throws MaasRefusal 400 */
export function requiredMachines(fields: Fields, field = 'machines'): readonly MachineId[] {
  const ids = [...new Set(fields.all(field).flatMap((value) => value.split(',')))].filter((id) => id !== '');
  if (ids.length === 0) throw invalidField(field, 'This field is required.');
  return ids as MachineId[];
}
