import { userClaimId } from '../../../core/claim/claim.ts';
import type { MachineId } from '../../../core/machine/machine.ts';
import type { OperationRecord } from '../../../core/storage/journal-records.ts';
import type { Tx } from '../../../core/storage/storage.ts';
import type { Fields } from '../fields.ts';
import type { MaasCall, MaasHandler, MaasUser } from '../handler.ts';
import type { MaasContext } from '../maas-context.ts';
import { invalidField, MaasRefusal } from '../maas-refusal.ts';
import {
  alarmEvent,
  eventLevels,
  operationEvents,
  type EventLevel,
  type MachineEvent,
} from '../machine-events.ts';
import { mayView } from '../machine-desk.ts';
import { seeMachines, type MachineSight } from '../machine-sight.ts';
import { eventMoment } from '../moment.ts';
import { NetworkLookup } from '../network-lookup.ts';
import { apiRoot } from '../shapes/resource-uri.ts';

/** How far back events go: so many operations and so many alarms. */
const remembered = 5_000;

const defaultLimit = 100;
const maxLimit = 1_000;

const params = {
  hostname: 'only of machines with these hostnames',
  mac_address: 'only of the machines with these MAC addresses',
  id: 'only of the machines with these system ids',
  zone: 'only of machines in these zones',
  agent_name: 'only of machines allocated with this agent name',
  owner: 'only those that this user asked for',
  level: 'least level: AUDIT, DEBUG, INFO, WARNING, ERROR or CRITICAL; INFO without one',
  limit: `how many, ${defaultLimit} without it, at most ${maxLimit}`,
  before: 'only events before the one of this id',
  after: 'only events after the one of this id',
};

/** `events/`: what the journal of operations and the alarms tell. */
export function eventsHandler({ storage }: MaasContext): MaasHandler {
  return {
    name: 'EventsHandler',
    doc: 'What happened to machines.',
    path: 'events/',
    actions: [
      {
        method: 'GET',
        op: 'query',
        doc: 'The newest events first.',
        params,
        handle: (call) =>
          storage.run(async (tx) => {
            const { fields } = call;
            const page = pageOf(fields);
            const least = levelOf(fields);
            const { events, sights } = await visibleEvents(tx, call);
            const chosen = take(
              events.filter(({ level }) => eventLevels[level] >= least),
              page,
            );
            const json = chosen.map((event) => eventJson(event, sights));
            return { json: { count: json.length, events: json, ...neighbours(fields, chosen, page) } };
          }),
      },
    ],
  };
}

interface Page {
  readonly limit: number;
  readonly before: number | null;
  readonly after: number | null;
}

function pageOf(fields: Fields): Page {
  const limit = wholeOf(fields, 'limit') ?? defaultLimit;
  if (limit > maxLimit)
    throw new MaasRefusal(400, `Requested number of events ${limit} is greater than limit: ${maxLimit}`);
  return { limit, before: wholeOf(fields, 'before'), after: wholeOf(fields, 'after') };
}

function wholeOf(fields: Fields, name: string): number | null {
  const text = fields.get(name);
  if (text === undefined || text === '') return null;
  if (!/^\d{1,16}$/.test(text)) throw new MaasRefusal(400, `Invalid ${name}: '${text}'`);
  return Number(text);
}

function levelOf(fields: Fields): number {
  const level = fields.get('level') || 'INFO';
  if (!Object.hasOwn(eventLevels, level)) throw invalidField('level', `Unrecognised log level: ${level}.`);
  return eventLevels[level as EventLevel];
}

/** The newest first; with `after`, those that come next after it. */
function take(events: readonly MachineEvent[], { limit, before, after }: Page): readonly MachineEvent[] {
  const inside = events
    .filter(({ id }) => (before === null || id < before) && (after === null || id > after))
    .sort((a, b) => b.id - a.id);
  return after === null ? inside.slice(0, limit) : inside.slice(Math.max(0, inside.length - limit));
}

/** Addresses of the pages before and after: the same question with another `before` or `after`. */
function neighbours(
  fields: Fields,
  events: readonly MachineEvent[],
  { before, after }: Page,
): Readonly<Record<'next_uri' | 'prev_uri', string>> {
  const uri = (name: 'before' | 'after', id: number): string => {
    const kept = fields.entries
      .filter(([key]) => key !== 'before' && key !== 'after')
      .map(([key, value]): [string, string] => [key, value]);
    const query = new URLSearchParams([['op', 'query'], ...kept]);
    query.set(name, String(id));
    return `${apiRoot}/events/?${query.toString()}`;
  };
  // From an empty page one comes back to where one came from.
  const newest = events[0]?.id ?? (before === null ? (after ?? 0) : before - 1);
  const oldest = events.at(-1)?.id ?? (after === null ? (before ?? 0) : after + 1);
  return { next_uri: uri('after', newest), prev_uri: uri('before', oldest) };
}

type Sights = ReadonlyMap<MachineId, MachineSight>;

/** Of machines that the caller may see and asks for. */
async function visibleEvents(
  tx: Tx,
  { fields, user }: MaasCall,
): Promise<{ readonly events: readonly MachineEvent[]; readonly sights: Sights }> {
  const owner = fields.get('owner');
  const operations = await tx.journal.list({ limit: remembered });
  const all = [
    ...operations.flatMap((operation) => told(user, operation)),
    ...(await tx.alarms.list(remembered)).map(alarmEvent),
  ].filter(({ username }) => !owner || username === owner);
  const ids = [...new Set(all.flatMap(({ machineId }) => machineId ?? []))];
  const network = await NetworkLookup.read(tx);
  const seen = (await seeMachines(tx, await tx.machines.shown(ids), network)).filter(mayView(user));
  const sights = new Map(seen.map((sight) => [sight.machine.id, sight]));
  const fits = machineFilter(fields);
  const events = all.filter(({ machineId }) => {
    const sight = machineId === null ? undefined : sights.get(machineId);
    // What happened to machines that are gone, or to none, is for administrators who ask for no machine.
    return sight
      ? (fits?.(sight) ?? true)
      : fits === null && user.isAdmin && !isHidden(machineId, ids, sights);
  });
  return { events, sights };
}

/** What a machine went through before it was the caller's, or free, is told; who asked for it, why, and what came of it, is not. */
function told({ principal, isAdmin }: MaasUser, operation: OperationRecord): readonly MachineEvent[] {
  const { machineId, requester, input } = operation;
  const isOwn =
    requester.principal === principal.name || input['externalId'] === userClaimId(principal.name, machineId);
  const events = operationEvents(operation);
  return isAdmin || isOwn ? events : events.map((event) => ({ ...event, username: '', description: '' }));
}

/** Whether the machine is there but not for the caller's eyes. */
function isHidden(id: MachineId | null, ids: readonly MachineId[], sights: Sights): boolean {
  return id !== null && ids.includes(id) && !sights.has(id);
}

/** Null = no machine is asked for. */
function machineFilter(fields: Fields): ((sight: MachineSight) => boolean) | null {
  const tests: ((sight: MachineSight) => boolean)[] = [];
  const test = (name: string, of: (sight: MachineSight) => readonly string[]): void => {
    const wanted = fields.all(name).map((value) => (name === 'mac_address' ? value.toLowerCase() : value));
    if (wanted.length > 0) tests.push((sight) => of(sight).some((value) => wanted.includes(value)));
  };
  test('hostname', ({ machine }) => [machine.hostname]);
  test('mac_address', ({ machine }) => machine.nics.map(({ mac }) => mac));
  test('id', ({ machine }) => [machine.id]);
  test('zone', ({ profile }) => [profile.zone]);
  test('agent_name', ({ profile }) => [profile.agentName]);
  return tests.length === 0 ? null : (sight) => tests.every((fits) => fits(sight));
}

function eventJson(event: MachineEvent, sights: Sights): unknown {
  const { id, at, machineId, level, type, description, username } = event;
  return {
    username,
    node: machineId ?? '',
    hostname: (machineId && sights.get(machineId)?.machine.hostname) ?? '',
    id,
    level,
    created: eventMoment(at),
    type,
    description,
  };
}
