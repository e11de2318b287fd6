import type { StoredRecord } from '../../../core/storage/stored-record.ts';
import type { Tx } from '../../../core/storage/storage.ts';
import type { MachineId } from '../../../core/machine/machine.ts';
import { emptyProfile } from '../../../core/machine/profile.ts';
import { toDevice } from '../device.ts';
import { Fields } from '../fields.ts';
import { nameField, needed, textField } from '../form-field.ts';
import type { MaasAction, MaasCall, MaasHandler } from '../handler.ts';
import type { MaasContext } from '../maas-context.ts';
import { MaasRefusal } from '../maas-refusal.ts';
import { MachineDesk } from '../machine-desk.ts';
import { readMachineQuery } from '../machine-query.ts';
import { eraseToldTo } from '../status.ts';
import { changeProfiles } from '../profile-change.ts';
import { deviceJson } from '../shapes/device.ts';
import { apiRoot } from '../shapes/resource-uri.ts';
import { findRecord, storedResource } from '../stored-resource.ts';
import { Surroundings } from '../surroundings.ts';
import { textOf } from '../text-of.ts';

const paths = ['tags/', 'tags/{name}/'] as const;
const found = {
  kind: 'tag',
  what: 'Tag',
  paths,
  find: (tx: Tx, call: MaasCall) => tx.records.findByName('tag', call.param('name')),
} as const;

/** `tags/`: words that machines and devices carry. */
export function tagsHandlers(context: MaasContext): readonly MaasHandler[] {
  const { storage } = context;
  const desk = new MachineDesk(context);

  /** What carries the tag and the caller may see. */
  const tagged = async (call: MaasCall): Promise<readonly unknown[]> => {
    const { query, around } = await storage.run(async (tx) => {
      const { name } = await findRecord(tx, found, call);
      const ids = (await tx.profiles.list()).filter(({ tags }) => tags.includes(name!));
      const named = new Fields(ids.map(({ machineId }) => ['id', machineId] as const));
      const around = await Surroundings.read(tx);
      if (ids.length === 0) return { query: null, around };
      return {
        query: await readMachineQuery(tx, named, around, eraseToldTo(call.user, context.settings)),
        around,
      };
    });
    if (!query) return [];
    const machines: unknown[] = [];
    for await (const machine of desk.list(call.user, query, around)) machines.push(machine);
    return machines;
  };
  const devices = (call: MaasCall): Promise<readonly unknown[]> =>
    storage.run(async (tx) => {
      const { name } = await findRecord(tx, found, call);
      const around = await Surroundings.read(tx);
      return (await tx.records.list('device'))
        .map(toDevice)
        .filter(({ tags }) => tags.includes(name!))
        .map((device) => deviceJson(device, around));
    });
  const listing = (
    op: string,
    doc: string,
    list: (call: MaasCall) => Promise<readonly unknown[]>,
  ): MaasAction => ({
    method: 'GET',
    op,
    doc,
    handle: async (call) => ({ json: await list(call) }),
  });

  return storedResource(storage, {
    ...found,
    names: ['TagsHandler', 'TagHandler'],
    doc: 'tags of machines and devices',
    form: {
      name: needed(nameField('Name of the tag.', /^[\w.-]+$/)),
      comment: textField('For people.', { max: 4096 }),
      definition: textField('An XPath expression: only kept, nothing is tagged by it.', { max: 4096 }),
      kernel_opts: textField('Only kept.', { max: 4096 }),
    },
    effect: 'acts',
    name: (body) => textOf(body['name']),
    around: async () => null,
    shape: tagJson,
    changed: async (tx, { name }, before) => {
      if (!before || before.name === name) return;
      await retag(tx, before.name!, name);
    },
    deleting: (tx, { name }) => retag(tx, name!, null),
    more: {
      item: [
        listing('machines', 'The machines that have the tag.', tagged),
        listing('nodes', 'The machines and devices that have the tag.', async (call) => [
          ...(await tagged(call)),
          ...(await devices(call)),
        ]),
        listing('devices', 'The devices that have the tag.', devices),
        ...['rack_controllers', 'region_controllers'].map((op) =>
          listing(op, 'None here has a tag.', (call) =>
            storage.run(async (tx) => {
              await findRecord(tx, found, call);
              return [];
            }),
          ),
        ),
        {
          method: 'POST',
          op: 'update_nodes',
          doc: 'Give the tag to machines and devices, or take it from them.',
          access: 'admin',
          params: {
            add: 'system ids that get the tag; repeat the field',
            remove: 'system ids that lose the tag; repeat the field',
            definition: 'refused when it is not that of the tag',
            rack_controller: 'accepted and not used',
          },
          handle: ({ fields, ...call }) =>
            storage.run(async (tx) => {
              const tag = await findRecord(tx, found, { fields, ...call });
              const definition = fields.get('definition');
              const known = textOf(tag.body['definition'] ?? '');
              if (definition !== undefined && definition !== known)
                throw new MaasRefusal(
                  409,
                  `Definition supplied '${definition}' doesn't match current definition '${known}'`,
                );
              const added = await setTag(tx, fields.all('add'), (tags) => withTag(tags, tag.name!));
              const removed = await setTag(tx, fields.all('remove'), (tags) =>
                tags.filter((one) => one !== tag.name),
              );
              return { json: { added, removed } };
            }),
        },
        {
          method: 'POST',
          op: 'rebuild',
          doc: 'Accepted; nothing is tagged by a definition here.',
          access: 'admin',
          effect: 'stored',
          handle: (call) =>
            storage.run(async (tx) => ({ json: { rebuilding: (await findRecord(tx, found, call)).name } })),
        },
      ],
    },
  });
}

function tagJson({ name, body }: StoredRecord): unknown {
  return {
    name,
    definition: body['definition'] ?? '',
    comment: body['comment'] ?? '',
    kernel_opts: body['kernel_opts'] ?? '',
    resource_uri: `${apiRoot}/tags/${encodeURIComponent(name!)}/`,
  };
}

function withTag(tags: readonly string[], tag: string): readonly string[] {
  return tags.includes(tag) ? tags : [...tags, tag].sort();
}

/** How many of the system ids are there. */
async function setTag(
  tx: Tx,
  ids: readonly string[],
  change: (tags: readonly string[]) => readonly string[],
): Promise<number> {
  let count = 0;
  for (const id of new Set(ids)) {
    const [machine] = await tx.machines.shown([id as MachineId]);
    const device = machine ? null : await tx.records.findByName('device', id);
    if (!machine && !device) continue;
    count += 1;
    if (device) {
      await tx.records.update({
        ...device,
        body: { ...device.body, tags: change(toDevice(device).tags) },
      });
      continue;
    }
    const profile = (await tx.profiles.find(id as MachineId)) ?? emptyProfile(id as MachineId);
    await tx.profiles.save({ ...profile, tags: change(profile.tags) });
  }
  return count;
}

/** @param after null = the tag is gone */
async function retag(tx: Tx, before: string, after: string | null): Promise<void> {
  const change = (tags: readonly string[]): readonly string[] =>
    tags.flatMap((tag) => (tag === before ? (after ?? []) : tag));
  await changeProfiles(
    tx,
    ({ tags }) => tags.includes(before),
    ({ tags }) => ({ tags: change(tags) }),
  );
  for (const record of await tx.records.list('device')) {
    const { tags } = toDevice(record);
    if (tags.includes(before))
      await tx.records.update({ ...record, body: { ...record.body, tags: change(tags) } });
  }
}
