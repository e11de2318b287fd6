import { parseMac, type Mac } from '../../../../plugin-api/index.ts';
import type { Machine, MachineId } from '../../../core/machine/machine.ts';
import { emptyProfile } from '../../../core/machine/profile.ts';
import type { Tx } from '../../../core/storage/storage.ts';
import { answering } from '../answered.ts';
import type { Fields } from '../fields.ts';
import { flagOf, mandatoryParameter, requiredField } from '../form-values.ts';
import type { MaasAction, MaasCall, MaasHandler, MaasReply, MaasUser } from '../handler.ts';
import type { MaasContext } from '../maas-context.ts';
import { invalidField, MaasRefusal } from '../maas-refusal.ts';
import { allocate, allocateParameters, refuseUnknown, requiredMachines } from '../machine-allocation.ts';
import { MachineDesk, mayView, refuseElsewhere } from '../machine-desk.ts';
import { profileChange, profileParameters, readHostname, refuseUnknownPlaces } from '../machine-form.ts';
import { listFilters, readMachineQuery, said } from '../machine-query.ts';
import type { MachineSight } from '../machine-sight.ts';
import { powerJson, powerParameters, readPower, withPower } from '../power-parameters.ts';
import { architectureOf } from '../shapes/machine.ts';
import { eraseToldTo, statusNames, type StatusNumber } from '../status.ts';
import { Surroundings } from '../surroundings.ts';
import { releasable } from './machine.ts';

/** `machines/`: all machines that the user may see. */
export function machinesHandler(context: MaasContext): MaasHandler {
  const desk = new MachineDesk(context);
  return {
    name: 'MachinesHandler',
    doc: 'All machines that the caller may see.',
    path: 'machines/',
    actions: [
      {
        method: 'GET',
        op: null,
        doc: 'List machines.',
        params: listFilters,
        handle: (call) => listMachines(context, desk, call),
      },
      {
        method: 'POST',
        op: null,
        access: 'admin',
        doc: 'Enrol a machine, and commission it.',
        params: {
          architecture: 'Architecture: amd64, arm64, ... Required.',
          mac_addresses: 'MAC addresses of its NICs; repeated. Required.',
          hostname: 'Name; made from the first MAC where it is missing.',
          commission: 'false: only enrol it. Default true.',
          deployed: 'Not supported: what runs on a machine must have been deployed by this service.',
          ...profileParameters,
          pool: 'Name of its pool.',
          ...powerParameters,
        },
        handle: (call) => enrol(context, desk, call),
      },
      {
        method: 'POST',
        op: 'allocate',
        doc: 'Allocate a machine that fits.',
        params: allocateParameters,
        handle: async ({ user, fields }) => {
          const { id, constraintsByType } = await allocate(context, desk, user, fields);
          const { sight, around } = await desk.find(user, id);
          return { json: { ...desk.json(user, sight, around), constraints_by_type: constraintsByType } };
        },
      },
      {
        method: 'POST',
        op: 'release',
        doc: 'Release machines.',
        params: { machines: 'System ids; repeated. Required.', comment: 'Why, for the records.' },
        handle: (call) => releaseMany(context, desk, call),
      },
      {
        method: 'GET',
        op: 'power_parameters',
        access: 'admin',
        doc: 'How the BMCs of machines are reached, with their passwords.',
        params: { id: 'System ids; repeated. All where none is given.' },
        handle: (call) => allPowerParameters(context, call),
      },
      {
        method: 'POST',
        op: 'accept',
        access: 'admin',
        doc: 'Commission machines that are new.',
        params: { machines: 'System ids; repeated. Required.' },
        handle: async ({ user, fields }) => {
          const ids = requiredMachines(fields);
          const seen = await findMany(context, desk, user, ids);
          return { json: await accept(context, desk, user, seen) };
        },
      },
      {
        method: 'POST',
        op: 'accept_all',
        access: 'admin',
        doc: 'Commission every machine that is new and stands in no CloudStack.',
        handle: async ({ user }) => {
          const { around, query } = await context.storage.run(async (tx) => ({
            around: await Surroundings.read(tx),
            query: {
              ids: null,
              hostnames: null,
              macs: null,
              filter: { states: ['new' as const] },
              fits: (sight: MachineSight) =>
                desk.status(user, sight).status === 0 && sight.machine.cloudPlace === null,
            },
          }));
          const seen: MachineSight[] = [];
          for await (const sights of desk.pages(user, query, around)) seen.push(...sights);
          return { json: await accept(context, desk, user, seen) };
        },
      },
      {
        method: 'GET',
        op: 'list_allocated',
        doc: 'Machines that the caller holds.',
        params: { id: 'System ids; repeated.' },
        handle: (call) => listAllocated(context, desk, call),
      },
      isRegistered(context),
      setZone(context, desk, 'machines'),
    ],
  };
}

/** `nodes/`: what is called so in MAAS; here all of them are machines. */
export function nodesHandler(context: MaasContext): MaasHandler {
  const desk = new MachineDesk(context);
  return {
    name: 'NodesHandler',
    doc: 'All machines that the caller may see.',
    path: 'nodes/',
    actions: [
      {
        method: 'GET',
        op: null,
        doc: 'List machines.',
        params: listFilters,
        handle: (call) => listMachines(context, desk, call),
      },
      isRegistered(context),
      setZone(context, desk, 'nodes'),
    ],
  };
}

async function listMachines(context: MaasContext, desk: MachineDesk, call: MaasCall): Promise<MaasReply> {
  // Before the first byte: afterwards nothing can be refused.
  const { around, query } = await context.storage.run(async (tx) => {
    const around = await Surroundings.read(tx);
    return {
      around,
      query: await readMachineQuery(tx, call.fields, around, eraseToldTo(call.user, context.settings)),
    };
  });
  return { stream: desk.list(call.user, query, around) };
}

async function listAllocated(context: MaasContext, desk: MachineDesk, call: MaasCall): Promise<MaasReply> {
  const { around, claims } = await context.storage.run(async (tx) => ({
    around: await Surroundings.read(tx),
    claims: await tx.claims.list(),
  }));
  const wanted = said(call.fields, 'id');
  const ids = claims
    .filter(({ holder, owner }) => holder === 'user' && owner === call.user.principal.name)
    .map(({ machineId }) => machineId)
    .filter((id) => wanted === null || wanted.includes(id));
  const query = { ids, hostnames: null, macs: null, filter: {}, fits: () => true };
  return { stream: desk.list(call.user, query, around) };
}

async function enrol(
  context: MaasContext,
  desk: MachineDesk,
  { user, fields }: MaasCall,
): Promise<MaasReply> {
  const { machines, operations, storage } = context;
  const architecture = architectureOf(requiredField(fields, 'architecture'));
  if (architecture === null)
    throw invalidField(
      'architecture',
      `'${fields.get('architecture')!}' is not a valid architecture.  It should be one of: 'amd64/generic', 'arm64/generic'.`,
    );
  const macs = readMacs(fields);
  if (flagOf(fields, 'deployed') === true)
    throw invalidField('deployed', 'Machines that something else has deployed cannot be added.');
  const said = readPower(fields);
  const bmc = withPower(null, said);
  if (!bmc) throw invalidField('power_parameters', 'Power address: This field is required.');
  const hostname = readHostname(fields) ?? `node-${macs[0]!.replaceAll(':', '')}`;
  const wiring = await storage.run(async (tx) => {
    await refuseKnownMacs(tx, macs);
    // Enrolled once more, that machine would get another name and more NICs, whoever holds it.
    const twin = await tx.machines.findByBmc(bmc.host, bmc.port);
    if (twin)
      throw invalidField('power_parameters', `Power address: already that of machine ${twin.hostname}.`);
    if (await tx.machines.findByHostname(hostname))
      throw invalidField('hostname', 'Node with this Hostname already exists.');
    await refuseUnknownPlaces(tx, fields);
    // Without a rack config there are no ports of ours: whoever has one wants its machines wired.
    return (await tx.racks.switches()).length === 0 ? ('none' as const) : ('managed' as const);
  });
  const asker = user.asker();
  const pool = fields.get('pool');
  const { kg, ...target } = bmc;
  const machine = await machines.enrol(
    {
      hostname,
      macs,
      wiring,
      bmc: { ...target, ...(kg && { kg }) },
      firmware: said.firmware,
      ...(pool !== undefined && pool !== '' && { pool }),
    },
    asker,
  );
  if (machine.architecture !== architecture) await machines.amend(machine.id, asker, { architecture });
  const change = profileChange(fields);
  if (change) await storage.run((tx) => saveProfile(tx, machine.id, change));
  if (flagOf(fields, 'commission') ?? true)
    await answering(operations, 'commission', machine.id, asker, () =>
      operations.submit({
        kind: 'commission',
        machineId: machine.id,
        requester: asker,
        grade: operations.defaultGrade,
      }),
    );
  return desk.answer(user, machine.id);
}

async function saveProfile(
  tx: Tx,
  id: MachineId,
  change: NonNullable<ReturnType<typeof profileChange>>,
): Promise<void> {
  await tx.profiles.save(change((await tx.profiles.find(id)) ?? emptyProfile(id)));
}

function readMacs(fields: Fields): readonly Mac[] {
  const texts = fields
    .all('mac_addresses')
    .flatMap((value) => value.split(','))
    .map((value) => value.trim())
    .filter((value) => value !== '');
  if (texts.length === 0) throw invalidField('mac_addresses', 'This field is required.');
  return [...new Set(texts.map((text) => readMac('mac_addresses', text)))];
}

function readMac(field: string, text: string): Mac {
  try {
    return parseMac(text);
  } catch {
    throw invalidField(field, `'${text}' is not a valid MAC address.`);
  }
}

/** A machine that merely showed up on the provisioning network is not one that has its MACs already: it is adopted. */
async function refuseKnownMacs(tx: Tx, macs: readonly Mac[]): Promise<void> {
  const problems: string[] = [];
  for (const mac of macs) {
    const [known] = await tx.machines.shown(await tx.machines.idsOfMacs([mac]));
    if (known?.bmc) problems.push(`MAC address ${mac} already in use on ${known.hostname}.`);
  }
  if (problems.length > 0) throw new MaasRefusal(400, { mac_addresses: problems });
}

/** The machines of these ids, all of which the caller may change. */
async function findMany(
  context: MaasContext,
  desk: MachineDesk,
  user: MaasUser,
  ids: readonly MachineId[],
): Promise<readonly MachineSight[]> {
  const around = await context.storage.run((tx) => Surroundings.read(tx));
  const query = { ids, hostnames: null, macs: null, filter: {}, fits: () => true };
  const found: MachineSight[] = [];
  for await (const sights of desk.pages(user, query, around)) found.push(...sights);
  refuseUnknown(ids, new Set(found.map(({ machine }) => machine.id)));
  return found;
}

async function releaseMany(
  context: MaasContext,
  desk: MachineDesk,
  { user, fields }: MaasCall,
): Promise<MaasReply> {
  const found = await findMany(context, desk, user, requiredMachines(fields));
  const statuses = found.map((sight) => ({ sight, status: desk.status(user, sight).status }));
  // All or none: whoever is refused must not find some of them gone.
  const wrong = statuses.filter(({ sight, status }) => !isFreeAlready(status) && !mayRelease(sight, status));
  if (wrong.length > 0) {
    const listed = wrong.map(
      ({ sight: { machine, profile }, status }) =>
        `${machine.id} ('${statusNames[status]}'${profile.locked ? ', locked' : ''})`,
    );
    throw new MaasRefusal(409, `Machine(s) cannot be released in their current state: ${listed.join(', ')}.`);
  }
  const released: string[] = [];
  const grade = context.settings.strict === 'canonical' ? { grade: 'none' as const } : {};
  for (const { sight, status } of statuses) {
    if (isFreeAlready(status)) continue;
    const asker = user.asker(fields.get('comment'));
    const { id } = sight.machine;
    await answering(context.operations, 'release', id, asker, () =>
      context.allocations.release(id, asker, grade),
    );
    released.push(sight.machine.id);
  }
  return { json: released };
}

const isFreeAlready = (status: StatusNumber): boolean => status === 4 || status === 12;
const mayRelease = ({ machine, claim, profile }: MachineSight, status: StatusNumber): boolean =>
  releasable.has(status) &&
  !profile.locked &&
  machine.cloudPlace === null &&
  (claim === null || claim.holder === 'user');

async function accept(
  { operations }: MaasContext,
  desk: MachineDesk,
  user: MaasUser,
  found: readonly MachineSight[],
): Promise<readonly unknown[]> {
  const accepted: unknown[] = [];
  found.forEach(refuseElsewhere);
  for (const sight of found) {
    const { id } = sight.machine;
    if (desk.status(user, sight).status !== 0) continue;
    const requester = user.asker();
    const grade = operations.defaultGrade;
    await answering(operations, 'accept', id, requester, () =>
      operations.submit({ kind: 'commission', machineId: id, requester, grade }),
    );
    accepted.push((await desk.answer(user, id)).json);
  }
  return accepted;
}

async function allPowerParameters({ storage }: MaasContext, { user, fields }: MaasCall): Promise<MaasReply> {
  const wanted = said(fields, 'id');
  const view = mayView(user);
  const parameters = await storage.run(async (tx) => {
    const machines = wanted
      ? await someMachines(tx, wanted as readonly MachineId[])
      : await tx.machines.list();
    const shown = machines.filter((machine) => view({ machine, claim: null } as MachineSight));
    return Object.fromEntries(shown.map((machine) => [machine.id, powerJson(machine)]));
  });
  return { json: parameters };
}

/** One by one where they are few: of those that are read, every password is opened. */
async function someMachines(tx: Tx, ids: readonly MachineId[]): Promise<readonly Machine[]> {
  const wanted = new Set(ids);
  if (wanted.size > 100) return (await tx.machines.list()).filter(({ id }) => wanted.has(id));
  const found: Machine[] = [];
  for (const id of wanted) {
    const machine = await tx.machines.find(id);
    if (machine) found.push(machine);
  }
  return found;
}

function isRegistered({ storage }: MaasContext): MaasAction {
  return {
    method: 'GET',
    op: 'is_registered',
    doc: 'Whether some machine has a NIC of this MAC address.',
    params: { mac_address: 'MAC address. Required.' },
    handle: async ({ fields }) => {
      const text = mandatoryParameter(fields, 'mac_address');
      const mac = readMac('mac_address', text);
      return { json: await storage.run(async (tx) => (await tx.machines.idsOfMacs([mac])).length > 0) };
    },
  };
}

function setZone(context: MaasContext, desk: MachineDesk, field: 'machines' | 'nodes'): MaasAction {
  return {
    method: 'POST',
    op: 'set_zone',
    access: 'admin',
    effect: 'stored',
    doc: 'Put machines into a zone.',
    params: { zone: 'Name of the zone. Required.', [field]: 'System ids; repeated. Required.' },
    handle: async ({ user, fields }) => {
      const zone = requiredField(fields, 'zone');
      const found = await findMany(context, desk, user, requiredMachines(fields, field));
      await context.storage.run(async (tx) => {
        await refuseUnknownPlaces(tx, fields);
        for (const { machine } of found)
          await saveProfile(tx, machine.id, (profile) => ({ ...profile, zone }));
      });
      return { json: null };
    },
  };
}
