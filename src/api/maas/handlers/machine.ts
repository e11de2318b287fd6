import type { EraseGrade } from '../../../../plugin-api/index.ts';
import { gatewayKey, type MachineProfile } from '../../../core/machine/profile.ts';
import { Profiles } from '../../../operations/profiles.ts';
import { answered } from '../answered.ts';
import { bsonOfBinaries } from '../bson-document.ts';
import { deployImage, userDataOf } from '../deploy-image.ts';
import type { Fields } from '../fields.ts';
import { flagOf, refuseBridges, requiredField, wholeNumber } from '../form-values.ts';
import type { MaasAction, MaasCall, MaasHandler, MaasReply, MaasUser } from '../handler.ts';
import type { MaasContext } from '../maas-context.ts';
import { invalidField, MaasRefusal } from '../maas-refusal.ts';
import { MachineDesk, type SeenMachine } from '../machine-desk.ts';
import { profileChange, profileParameters, readHostname, refuseUnknownPlaces } from '../machine-form.ts';
import { ownerDataAfter } from '../owner-data.ts';
import { powerJson, powerParameters, readPower, withPower } from '../power-parameters.ts';
import { architectureOf } from '../shapes/machine.ts';
import type { StatusNumber } from '../status.ts';

/** Statuses in which a machine can be released; Ready and Releasing need none. */
export const releasable: ReadonlySet<StatusNumber> = new Set([5, 6, 8, 9, 10, 11, 13, 15] as const);

const commissionable: ReadonlySet<StatusNumber> = new Set([0, 2, 4, 8, 15] as const);
const abortable: ReadonlySet<StatusNumber> = new Set([1, 9, 12, 14, 21] as const);
const comment = { comment: 'Why, for the records.' } as const;

/** `machines/{system_id}/` */
export function machineHandler(context: MaasContext): MaasHandler {
  return {
    name: 'MachineHandler',
    doc: 'One machine.',
    path: 'machines/{system_id}/',
    actions: actionsOf(context),
  };
}

/** `nodes/{system_id}/`: what all kinds of nodes have in common. */
export function nodeHandler(context: MaasContext): MaasHandler {
  const common = new Set([null, 'details', 'power_parameters']);
  return {
    name: 'NodeHandler',
    doc: 'One machine.',
    path: 'nodes/{system_id}/',
    actions: actionsOf(context).filter(
      ({ method, op }) => common.has(op) && (op === null ? method !== 'PUT' : true),
    ),
  };
}

function actionsOf(context: MaasContext): readonly MaasAction[] {
  const desk = new MachineDesk(context);
  const profiles = new Profiles(context.storage);
  const { allocations, settings } = context;
  const canonical = settings.strict === 'canonical';
  const idOf = (call: MaasCall): string => call.param('system_id');
  /** Does something with a machine that may be changed, and answers with it as it is then. */
  const doing =
    (work: (seen: SeenMachine, call: MaasCall) => Promise<unknown>): MaasAction['handle'] =>
    async (call) => {
      await work(await desk.findToChange(call.user, idOf(call)), call);
      return desk.answer(call.user, idOf(call));
    };
  const describing = (
    work: (seen: SeenMachine, call: MaasCall) => (profile: MachineProfile) => MachineProfile,
  ): MaasAction['handle'] =>
    doing((seen, call) => profiles.change(seen.sight.machine.id, call.user.asker(), work(seen, call)));

  const actions: MaasAction[] = [
    {
      method: 'GET',
      op: null,
      doc: 'Read a machine.',
      handle: (call) => desk.answer(call.user, idOf(call)),
    },
    {
      method: 'PUT',
      op: null,
      access: 'admin',
      doc: 'Change a machine: only what is said changes.',
      params: {
        hostname: 'Name.',
        architecture: 'Architecture: amd64, arm64, ...',
        pool: 'Name of its pool.',
        cpu_count: 'CPUs, until the machine is commissioned again.',
        memory: 'MiB of memory, until the machine is commissioned again.',
        ...profileParameters,
        ...powerParameters,
      },
      handle: doing((seen, call) => update(context, profiles, seen, call)),
    },
    {
      method: 'DELETE',
      op: null,
      access: 'admin',
      doc: 'Forget a machine that nobody holds. Nothing is erased.',
      params: { force: 'Taken and not needed.' },
      handle: async (call): Promise<MaasReply> => {
        const { sight } = await desk.findToChange(call.user, idOf(call));
        refuseLocked(sight.profile);
        await context.machines.forget(sight.machine.id, call.user.asker());
        return { empty: true };
      },
    },
    {
      method: 'POST',
      op: 'deploy',
      doc: 'Install an image on a machine; allocates it first where it is ready.',
      params: {
        distro_series: 'The image: its name, or one of its aliases like ubuntu/jammy or jammy.',
        osystem: 'The system, where distro_series has none.',
        user_data: 'cloud-init user data, in base64.',
        agent_name: 'Kept with the machine until it is released.',
        hwe_kernel: 'Kept and shown: images bring their own kernel.',
        bridge_all: 'Not supported: let the system make bridges by its user data.',
        ephemeral_deploy: 'Not supported: machines are deployed to their disks.',
        ...comment,
      },
      handle: doing((seen, call) => deploy(context, profiles, seen, call)),
    },
    {
      method: 'POST',
      op: 'release',
      doc: 'Take a machine back from its user: off, off the network, erased.',
      params: {
        erase: 'true: overwrite the disks in full.',
        secure_erase: "true: by the disks' own secure erase, in full where they have none.",
        quick_erase: 'true: only wipe the beginning and end of the disks.',
        force: 'Taken and not needed.',
        ...comment,
      },
      handle: doing(async ({ sight, status }, { user, fields }) => {
        if (status.status === 4 || status.status === 12) return;
        if (!releasable.has(status.status))
          throw new MaasRefusal(
            409,
            `Machine cannot be released in its current state ('${status.status_name}').`,
          );
        const grade = gradeOf(fields, canonical);
        await allocations.release(sight.machine.id, user.asker(fields.get('comment')), {
          ...(grade && { grade }),
        });
      }),
    },
    {
      method: 'POST',
      op: 'commission',
      access: 'admin',
      doc: 'Take the inventory of a machine that nobody holds, and erase its disks.',
      params: {
        enable_ssh: 'Taken and not needed.',
        skip_bmc_config: 'Taken and not needed: BMCs are not configured.',
        skip_networking: 'Taken and not needed.',
        skip_storage: 'Taken and not needed.',
        commissioning_scripts: 'Taken and not needed: there are none.',
        testing_scripts: 'Taken and not needed: there are none.',
      },
      handle: doing(async ({ sight, status }, { user }) => {
        if (!commissionable.has(status.status) || sight.claim)
          throw new MaasRefusal(400, {
            __all__: ['Commission is not available because of the current state of the node.'],
          });
        const { operations } = context;
        await operations.submit({
          kind: 'commission',
          machineId: sight.machine.id,
          requester: user.asker(),
          grade: operations.defaultGrade,
        });
      }),
    },
    {
      method: 'POST',
      op: 'abort',
      doc: 'End what is being done with a machine, and undo it.',
      params: comment,
      handle: doing(async ({ sight, status }, { user, fields }) => {
        if (!abortable.has(status.status))
          throw new MaasRefusal(
            409,
            `Cannot abort in current state: node ${sight.machine.id} is in state ${status.status_name}.`,
          );
        await allocations.abort(sight.machine.id, user.asker(fields.get('comment')));
      }),
    },
    {
      method: 'POST',
      op: 'power_on',
      doc: canonical
        ? 'Switch a machine on; one that is allocated is deployed by it.'
        : 'Switch on a machine that is deployed.',
      params: { user_data: 'cloud-init user data, in base64.', ...comment },
      handle: doing(async (seen, call) => {
        const { sight, status } = seen;
        const { user, fields } = call;
        if (!sight.claim) throw new MaasRefusal(409, "Can't start node: it hasn't been allocated.");
        if (status.status === 10 && canonical) return deploy(context, profiles, seen, call);
        if (status.status !== 6)
          throw new MaasRefusal(
            409,
            `Can't start node: it is in the '${status.status_name}' state. Deploy it with op=deploy.`,
          );
        await allocations.powerOn(sight.machine.id, user.asker(fields.get('comment')));
      }),
    },
    {
      method: 'POST',
      op: 'power_off',
      doc: 'Switch a machine off.',
      params: { stop_mode: 'hard (default), or soft: ask the operating system first.', ...comment },
      handle: async (call) => {
        const { sight } = await desk.findToChange(call.user, idOf(call));
        const mode = call.fields.get('stop_mode') ?? 'hard';
        if (mode !== 'hard' && mode !== 'soft')
          throw new MaasRefusal(400, `Invalid stop_mode: Value must be one of: hard, soft (got '${mode}').`);
        // What nobody holds is off, or an operation has it: nothing is sent.
        if (!sight.claim) return { json: null };
        await allocations.powerOff(sight.machine.id, call.user.asker(call.fields.get('comment')), {
          hard: mode === 'hard',
        });
        return desk.answer(call.user, idOf(call));
      },
    },
    {
      method: 'GET',
      op: 'query_power_state',
      doc: 'Ask the BMC whether the machine is on.',
      handle: async (call) => {
        const { sight } = await desk.find(call.user, idOf(call));
        const machine = await context.machines.find(sight.machine.id);
        return { json: { state: await context.power.state(machine, call.signal) } };
      },
    },
    {
      method: 'GET',
      op: 'power_parameters',
      access: 'admin',
      doc: 'How the BMC of the machine is reached, with its password.',
      handle: async (call) => {
        const { sight } = await desk.find(call.user, idOf(call));
        return { json: powerJson(await context.machines.find(sight.machine.id)) };
      },
    },
    {
      method: 'POST',
      op: 'mark_broken',
      doc: 'Withhold a machine, and take it back from its user.',
      params: { ...comment, error_description: 'The same as comment.' },
      handle: doing(async ({ sight }, { user, fields }) => {
        if (!user.isAdmin && sight.claim?.owner !== user.principal.name) throw new MaasRefusal(403, '');
        const why = fields.get('comment') || fields.get('error_description') || '';
        await allocations.markBroken(sight.machine.id, user.asker(why), why);
      }),
    },
    {
      method: 'POST',
      op: 'mark_fixed',
      access: 'admin',
      doc: 'End the withholding of a machine.',
      params: comment,
      handle: doing(async ({ sight, status }, { user, fields }) => {
        if (status.status !== 8) throw new MaasRefusal(409, "Can't mark a non-broken node as 'Ready'.");
        await allocations.markFixed(sight.machine.id, user.asker(fields.get('comment')));
      }),
    },
    {
      method: 'POST',
      op: 'lock',
      doc: 'Lock a deployed machine against release and deletion.',
      params: comment,
      handle: describing(({ sight, status }) => {
        if (status.status !== 6 && status.status !== 9)
          throw new MaasRefusal(409, "Can't lock, node is not deployed or deploying");
        if (sight.profile.locked) throw new MaasRefusal(409, 'Machine is already locked');
        return (profile) => ({ ...profile, locked: true });
      }),
    },
    {
      method: 'POST',
      op: 'unlock',
      doc: 'Unlock a machine.',
      params: comment,
      handle: describing(({ sight }) => {
        if (!sight.profile.locked) throw new MaasRefusal(409, 'Machine is not locked');
        return (profile) => ({ ...profile, locked: false });
      }),
    },
    ...(['set_owner_data', 'set_workload_annotations'] as const).map((op): MaasAction => ({
      method: 'POST',
      op,
      effect: 'stored',
      doc: 'Keep key=value pairs with a machine that one holds; an empty value removes the key.',
      params: { key: 'Any name, with its value.' },
      handle: describing(({ sight }, { user, fields }) => {
        const what = op === 'set_owner_data' ? 'owner data' : 'workload annotation';
        if (sight.claim?.owner !== user.principal.name)
          throw new MaasRefusal(409, `Cannot set ${what}: it hasn't been acquired.`);
        return (profile) => ({ ...profile, ownerData: ownerDataAfter(profile.ownerData, fields) });
      }),
    })),
    {
      method: 'POST',
      op: 'clear_default_gateways',
      effect: 'stored',
      doc: 'Forget which links have the default gateways.',
      handle: describing(() => (profile) => {
        const kept = { ...profile.kept, [gatewayKey[4]]: null, [gatewayKey[6]]: null };
        return { ...profile, kept };
      }),
    },
    {
      method: 'GET',
      op: 'details',
      doc: 'What the inventory found, as BSON of XML documents.',
      handle: async (call) => {
        const { sight } = await desk.find(call.user, idOf(call));
        const { machine } = sight;
        return {
          bytes: bsonOfBinaries({ lshw: Buffer.from(lshwOf(machine)), lldp: Buffer.from('<lldp/>') }),
          type: 'application/bson',
        };
      },
    },
    {
      method: 'GET',
      op: 'get_token',
      doc: 'The token of the machine itself: none has one here.',
      handle: async (call) => {
        await desk.find(call.user, idOf(call));
        return { json: null };
      },
    },
    ...(['default', 'networking', 'storage'] as const).map((what): MaasAction => ({
      method: 'POST',
      op: what === 'default' ? 'restore_default_configuration' : `restore_${what}_configuration`,
      access: 'admin',
      doc:
        what === 'storage'
          ? 'The disks are always as inventoried.'
          : 'Set the interfaces back to what the inventory found.',
      handle: describing(({ status }) => {
        if (status.status !== 4 && status.status !== 22)
          throw new MaasRefusal(
            409,
            `Machine must be in a ready or failed testing state to restore ${what} configuration.`,
          );
        return (profile) => (what === 'storage' ? profile : { ...profile, interfaces: null });
      }),
    })),
    {
      method: 'POST',
      op: 'set_storage_layout',
      effect: 'stored',
      doc: 'Take a storage layout: images bring their own, so only flat is there.',
      params: { storage_layout: 'flat' },
      handle: doing(async ({ status }, { fields }) => {
        if (status.status !== 4 && status.status !== 10)
          throw new MaasRefusal(
            409,
            'Cannot change the storage layout because the machine is not Ready or Allocated.',
          );
        const layout = requiredField(fields, 'storage_layout');
        if (layout !== 'flat')
          throw invalidField(
            'storage_layout',
            `'${layout}' is not a valid storage layout.  It should be one of: 'flat'.`,
          );
      }),
    },
  ];
  const answers = (all: readonly MaasAction[]): readonly MaasAction[] =>
    all.map((action) => answered(context.operations, action));
  if (canonical) return answers(actions);
  return answers([
    ...actions,
    {
      method: 'POST',
      op: 'power_cycle',
      doc: 'Switch a deployed machine off and on; on where it is off. MAAS itself does not have this.',
      params: comment,
      handle: doing(async ({ sight, status }, { user, fields }) => {
        if (!sight.claim) throw new MaasRefusal(409, "Can't start node: it hasn't been allocated.");
        if (status.status !== 6)
          throw new MaasRefusal(409, `Can't power cycle node: it is in the '${status.status_name}' state.`);
        await allocations.powerCycle(sight.machine.id, user.asker(fields.get('comment')));
      }),
    },
  ]);
}

async function update(
  { machines, storage }: MaasContext,
  profiles: Profiles,
  { sight }: SeenMachine,
  { user, fields }: MaasCall,
): Promise<void> {
  const { id } = sight.machine;
  const hostname = readHostname(fields);
  const named = fields.get('architecture')?.trim();
  const architecture = named === undefined || named === '' ? null : architectureOf(named);
  if (named !== undefined && named !== '' && architecture === null)
    throw invalidField('architecture', `'${named}' is not a valid architecture.`);
  const said = readPower(fields);
  const known = await machines.find(id);
  const bmc = withPower(known.bmc, said);
  const pool = fields.get('pool')?.trim();
  const cpus = wholeNumber(fields, 'cpu_count');
  const memory = wholeNumber(fields, 'memory');
  await storage.run(async (tx) => {
    await refuseUnknownPlaces(tx, fields);
    if (hostname === null || hostname === known.hostname) return;
    if (await tx.machines.findByHostname(hostname))
      throw invalidField('hostname', 'Node with this Hostname already exists.');
  });
  const change = {
    ...(hostname !== null && { hostname }),
    ...(architecture !== null && { architecture }),
    ...(pool !== undefined && pool !== '' && { pool }),
    ...(cpus !== undefined && { cpus: Math.max(0, cpus) }),
    ...(memory !== undefined && { memoryBytes: Math.max(0, memory) * 2 ** 20 }),
    ...(said.firmware && { firmware: said.firmware }),
    ...(bmc && { bmc }),
  };
  if (Object.keys(change).length > 0) await machines.amend(id, user.asker(), change);
  const described = profileChange(fields);
  if (described) await profiles.change(id, user.asker(), described);
}

async function deploy(
  context: MaasContext,
  profiles: Profiles,
  { sight, status }: SeenMachine,
  { user, fields }: MaasCall,
): Promise<void> {
  const { machine } = sight;
  if (status.status !== 4 && status.status !== 10)
    throw new MaasRefusal(409, `Can't deploy a machine that is in the '${status.status_name}' state`);
  if (sight.claim && sight.claim.owner !== user.principal.name && !user.isAdmin)
    throw new MaasRefusal(409, "Can't allocate a machine belonging to another user.");
  for (const gone of ['install_rackd', 'install_kvm', 'register_vmhost'])
    if (flagOf(fields, gone) === true)
      throw new MaasRefusal(400, `Support for ${gone} allocation parameter has been removed.`);
  refuseBridges(fields);
  if (flagOf(fields, 'ephemeral_deploy') === true)
    throw invalidField('ephemeral_deploy', 'Machines are deployed to their disks here.');
  const images = (await context.engines.get(machine.engine)?.images()) ?? [];
  const { owner, series } = await defaultsOf(context, user, sight.claim?.owner ?? null);
  const image = deployImage(fields, images, series);
  const asker = user.asker(fields.get('comment'));
  await context.allocations.deploy(machine.id, asker, {
    image: image.name,
    userData: userDataOf(fields),
    sshKeys: owner,
  });
  const agentName = fields.get('agent_name');
  const kernel = fields.get('hwe_kernel');
  if (agentName === undefined && kernel === undefined) return;
  await profiles.change(machine.id, user.asker(), (profile) => ({
    ...profile,
    ...(agentName !== undefined && { agentName }),
    ...(kernel !== undefined && { kept: { ...profile.kept, hwe_kernel: kernel } }),
  }));
}

/** SSH keys of who holds the machine, or will; and the series that is taken where none is named. */
async function defaultsOf(
  { storage }: MaasContext,
  user: MaasUser,
  holder: string | null,
): Promise<{ readonly owner: readonly string[]; readonly series: string | null }> {
  return storage.run(async (tx) => {
    const keys = await tx.records.list('ssh-key', holder ?? user.principal.name);
    const setting = await tx.records.findByName('setting', 'default_distro_series');
    const value = setting?.body['value'];
    return {
      owner: keys.flatMap(({ body }) => (typeof body['key'] === 'string' ? [body['key']] : [])),
      series: typeof value === 'string' && value !== '' ? value : null,
    };
  });
}

/** The grade that the three flags ask for; undefined = the one of the configuration. */
function gradeOf(fields: Fields, canonical: boolean): EraseGrade | undefined {
  const [erase, secure, quick] = ['erase', 'secure_erase', 'quick_erase'].map(
    (name) => flagOf(fields, name) === true,
  );
  // Both: by the disk's own means where it has them.
  if (secure) return 'secure';
  if (quick) return 'quick';
  if (erase) return 'full';
  return canonical ? 'none' : undefined;
}

function refuseLocked({ locked }: Pick<MachineProfile, 'locked'>): void {
  if (locked) throw new MaasRefusal(409, 'Machine is locked');
}

function lshwOf(machine: {
  readonly hostname: string;
  readonly product: string;
  readonly serial: string;
  readonly cpus: number;
  readonly memoryBytes: number;
}): string {
  const text = (value: string): string =>
    value.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
  return (
    `<?xml version="1.0"?>\n<list><node id="${text(machine.hostname)}" class="system">` +
    `<product>${text(machine.product)}</product><serial>${text(machine.serial)}</serial>` +
    `<configuration><setting id="cpus" value="${machine.cpus}"/></configuration>` +
    `<node id="memory" class="memory"><size units="bytes">${machine.memoryBytes}</size></node></node></list>`
  );
}
