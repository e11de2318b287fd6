import type { JsonObject } from '../../../plugin-api/index.ts';
import { authorise } from '../../core/access/rights.ts';
import type { RecordKind, StoredRecord } from '../../core/storage/stored-record.ts';
import type { Storage, Tx } from '../../core/storage/storage.ts';
import type { Fields } from './fields.ts';
import { formParams, readForm, type Form } from './form-field.ts';
import type { MaasAccess, MaasAction, MaasCall, MaasHandler } from './handler.ts';
import { MaasRefusal, notFound } from './maas-refusal.ts';

/** A change of a record that is being looked at before it is kept. */
export interface Change {
  readonly tx: Tx;
  readonly call: MaasCall;
  /** What the form says. */
  readonly body: JsonObject;
  /** As it was; null for a new one. */
  readonly before: StoredRecord | null;
}

/** A collection of numbered things that clients make, read, change and delete. */
export interface StoredResource<Around> {
  readonly kind: RecordKind;
  /** MAAS's name of one of them: `No Zone matches the given query.` */
  readonly what: string;
  /** Names of the handlers of the collection and of one of them. */
  readonly names: readonly [collection: string, item: string];
  readonly doc: string;
  /** Addresses of the collection and of one of them. */
  readonly paths: readonly [collection: string, item: string];
  readonly aliases?: readonly [collection: readonly string[], item: readonly string[]];
  readonly form: Form;
  /** Who may make, change and delete: default administrators only. */
  readonly writers?: MaasAccess;
  /** Everybody sees and changes only their own. */
  readonly own?: boolean;
  /** Whether a change of it does something: default it is only kept. */
  readonly effect?: 'acts' | 'stored';
  /** Whether one that was made stays as it is until it is deleted. */
  readonly fixed?: boolean;
  /** Status of the answer to one that was made: default 200. */
  readonly created?: number;
  /** What it is found by beside its number; default it has no name. Unique among the records of its kind. */
  name?(body: JsonObject): string;
  /** The field that is told to be taken where the name is. */
  readonly nameField?: string;
  /** What shapes need, read once for a request. */
  around(tx: Tx): Promise<Around>;
  shape(record: StoredRecord, around: Around): unknown;
  /** Which one the path names: default by number or name. */
  find?(tx: Tx, call: MaasCall): Promise<StoredRecord | null>;
  /** Which of them a list shows: default all. */
  shows?(record: StoredRecord, fields: Fields, around: Around): boolean;
  /** Which of them belong to the collection that the path names: default all. */
  within?(tx: Tx, call: MaasCall): Promise<(record: StoredRecord) => boolean>;
  /** What the list can be narrowed by. */
  readonly filters?: Readonly<Record<string, string>>;
  /** Things that are shown in the list and are no records. */
  extra?(around: Around): readonly unknown[];
  /** Looks at a change, may complete it, or refuses it. */
  check?(change: Change): Promise<JsonObject> | JsonObject;
  /** After it was made or changed, in the same unit of work. */
  changed?(tx: Tx, record: StoredRecord, before: StoredRecord | null): Promise<void>;
  /** Before it is deleted: refuses, or deletes what hangs on it. */
  deleting?(tx: Tx, record: StoredRecord, call: MaasCall): Promise<void> | void;
  readonly more?: { readonly collection?: readonly MaasAction[]; readonly item?: readonly MaasAction[] };
}

/** The two handlers of a collection that is kept in storage: of the whole, and of one. */
export function storedResource<Around>(
  storage: Storage,
  resource: StoredResource<Around>,
): readonly MaasHandler[] {
  const { kind, what, form, own = false, writers = own ? 'user' : 'admin', effect = 'stored' } = resource;
  const [collectionName, itemName] = resource.names;
  const found = (tx: Tx, call: MaasCall): Promise<StoredRecord> => findRecord(tx, resource, call);
  const write = { access: writers, effect } as const;
  /** What everybody sees is for nobody to change who only looks; what is one's own is one's own affair. */
  const refuseLooker = ({ user }: MaasCall): void => {
    if (!own) authorise(user.asker(), 'machine.describe');
  };
  const words = what.toLowerCase();

  const list: MaasAction = {
    method: 'GET',
    op: null,
    doc: `List them.`,
    ...(resource.filters && { params: resource.filters }),
    handle: (call) =>
      storage.run(async (tx) => {
        const around = await resource.around(tx);
        const records = await tx.records.list(kind, own ? call.user.principal.name : undefined);
        const inside = (await resource.within?.(tx, call)) ?? (() => true);
        const shown = records.filter(
          (record) => inside(record) && (resource.shows?.(record, call.fields, around) ?? true),
        );
        const extra = resource.extra?.(around) ?? [];
        return { json: [...extra, ...shown.map((record) => resource.shape(record, around))] };
      }),
  };
  const create: MaasAction = {
    method: 'POST',
    op: null,
    doc: `Create a ${words}.`,
    params: formParams(form),
    ...write,
    handle: (call) =>
      storage.run(async (tx) => {
        refuseLooker(call);
        const said = readForm(form, call.fields, null);
        const body = (await resource.check?.({ tx, call, body: said, before: null })) ?? said;
        const name = resource.name?.(body) ?? null;
        await refuseTaken(tx, resource, name, null);
        const owner = own ? call.user.principal.name : null;
        const record = await tx.records.insert({ kind, name, owner, body });
        await resource.changed?.(tx, record, null);
        const json = resource.shape(record, await resource.around(tx));
        return { status: resource.created ?? 200, json };
      }),
  };
  const read: MaasAction = {
    method: 'GET',
    op: null,
    doc: `Read a ${words}.`,
    handle: (call) =>
      storage.run(async (tx) => ({
        json: resource.shape(await found(tx, call), await resource.around(tx)),
      })),
  };
  const update: MaasAction = {
    method: 'PUT',
    op: null,
    doc: `Change a ${words}: only what is said changes.`,
    params: formParams(form),
    ...write,
    handle: (call) =>
      storage.run(async (tx) => {
        refuseLooker(call);
        const before = await found(tx, call);
        const said = { ...before.body, ...readForm(form, call.fields, before.body) };
        const body = (await resource.check?.({ tx, call, body: said, before })) ?? said;
        const name = resource.name ? resource.name(body) : before.name;
        await refuseTaken(tx, resource, name, before.id);
        const record = await tx.records.update({ ...before, name, body });
        await resource.changed?.(tx, record, before);
        return { json: resource.shape(record, await resource.around(tx)) };
      }),
  };
  const remove: MaasAction = {
    method: 'DELETE',
    op: null,
    doc: `Delete a ${words}.`,
    ...write,
    handle: (call) =>
      storage.run(async (tx) => {
        refuseLooker(call);
        const record = await found(tx, call);
        await resource.deleting?.(tx, record, call);
        await tx.records.delete(kind, record.id);
        return { empty: true };
      }),
  };
  const [collectionAliases, itemAliases] = resource.aliases ?? [[], []];
  return [
    {
      name: collectionName,
      doc: `Manage ${resource.doc}.`,
      path: resource.paths[0],
      aliases: collectionAliases,
      actions: [list, create, ...(resource.more?.collection ?? [])],
    },
    {
      name: itemName,
      doc: `Manage one of ${resource.doc}.`,
      path: resource.paths[1],
      aliases: itemAliases,
      actions: [read, ...(resource.fixed ? [] : [update]), remove, ...(resource.more?.item ?? [])],
    },
  ];
}

/**
 * The record that a path names.
 * @throws MaasRefusal 404
 */
export async function findRecord<Around>(
  tx: Tx,
  resource: Pick<StoredResource<Around>, 'kind' | 'what' | 'own' | 'find' | 'paths'>,
  call: MaasCall,
): Promise<StoredRecord> {
  const parameter = /\{(\w+)\}[^{}]*$/.exec(resource.paths[1])![1]!;
  const record = resource.find
    ? await resource.find(tx, call)
    : await findBySpecifier(tx, resource.kind, call.param(parameter));
  const mine = !resource.own || record?.owner === call.user.principal.name;
  if (!record || !mine) throw notFound(resource.what);
  return record;
}

/** By number, by name, or by what MAAS calls a specifier: `name:x`, `id:3`. */
export async function findBySpecifier(tx: Tx, kind: RecordKind, text: string): Promise<StoredRecord | null> {
  const [, prefix, rest = text] = /^(id|name):(.*)$/s.exec(text) ?? [];
  const number = prefix !== 'name' && /^\d{1,9}$/.test(rest) ? Number(rest) : null;
  const byNumber = number === null ? null : await tx.records.find(kind, number);
  return byNumber ?? (prefix === 'id' ? null : tx.records.findByName(kind, rest));
}

async function refuseTaken<Around>(
  tx: Tx,
  { kind, what, nameField = 'name' }: StoredResource<Around>,
  name: string | null,
  own: number | null,
): Promise<void> {
  // The column's width: SQLite would take more, and MariaDB fail.
  if (name !== null && name.length > 255)
    throw new MaasRefusal(400, { [nameField]: ['Ensure this value has at most 255 characters.'] });
  const holder = name === null ? null : await tx.records.findByName(kind, name);
  if (!holder || holder.id === own) return;
  const label = nameField.charAt(0).toUpperCase() + nameField.slice(1);
  throw new MaasRefusal(400, { [nameField]: [`${what} with this ${label} already exists.`] });
}

/** 400 about a field that names something that is not there. */
export function noChoice(field: string): MaasRefusal {
  return new MaasRefusal(400, {
    [field]: ['Select a valid choice. That choice is not one of the available choices.'],
  });
}
