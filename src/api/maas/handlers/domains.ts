import type { JsonObject } from '../../../../plugin-api/index.ts';
import type { StoredRecord } from '../../../core/storage/stored-record.ts';
import type { Tx } from '../../../core/storage/storage.ts';
import { flagField, nameField, needed, nullableField, wholeField } from '../form-field.ts';
import type { MaasHandler } from '../handler.ts';
import type { MaasContext } from '../maas-context.ts';
import { invalidField, MaasRefusal } from '../maas-refusal.ts';
import { changeProfiles } from '../profile-change.ts';
import { apiRoot } from '../shapes/resource-uri.ts';
import { findRecord, storedResource } from '../stored-resource.ts';
import { textOf } from '../text-of.ts';

const paths = ['domains/', 'domains/{id}/'] as const;

/** `domains/`: kept for clients; we serve no DNS. */
export function domainsHandlers({ storage }: MaasContext): readonly MaasHandler[] {
  return storedResource(storage, {
    kind: 'domain',
    what: 'Domain',
    names: ['DomainsHandler', 'DomainHandler'],
    doc: 'DNS domains; no DNS is served here',
    paths,
    form: {
      name: needed(nameField('Name of the domain.', /^[a-zA-Z0-9]([a-zA-Z0-9.-]*[a-zA-Z0-9])?$/)),
      authoritative: flagField('Only kept.', true),
      ttl: nullableField(wholeField('Seconds; only kept.', null, { min: 1, max: 604_800 })),
    },
    name: (body) => textOf(body['name']),
    around: (tx) => Promise.all([tx.records.list('dns-resource'), tx.records.list('dns-record')]),
    shape: (record, [resources, records]) => domainJson(record, [...resources, ...records]),
    changed: async (tx, { name }, before) => {
      if (!before || before.name === name) return;
      await changeProfiles(tx, ({ domain }) => domain === before.name, { domain: name ?? '' });
    },
    deleting: async (tx, record) => {
      if (record.body['is_default'] === true)
        throw new MaasRefusal(400, 'This domain is the default domain, it cannot be deleted.');
      const machines = (await tx.profiles.list()).filter(({ domain }) => domain === record.name);
      const names = (await tx.records.list('dns-resource')).filter((one) => isIn(one, record));
      if (machines.length + names.length > 0)
        throw new MaasRefusal(400, `Domain ${record.name ?? ''} cannot be deleted: names are in it.`);
    },
    more: {
      collection: [
        {
          method: 'POST',
          op: 'set_serial',
          doc: 'Set the serial number of all zones.',
          params: { serial: 'the number, 1 to 4294967295' },
          access: 'admin',
          effect: 'stored',
          handle: ({ fields }) => {
            const serial = Number(fields.get('serial'));
            if (!Number.isInteger(serial) || serial < 1 || serial > 4_294_967_295)
              throw invalidField('serial', 'Expected a serial from 1 to 4294967295.');
            return { json: null };
          },
        },
      ],
      item: [
        {
          method: 'POST',
          op: 'set_default',
          doc: 'Make it the default domain.',
          access: 'admin',
          effect: 'stored',
          handle: (call) =>
            storage.run(async (tx) => {
              const found = await findRecord(tx, { kind: 'domain', what: 'Domain', paths }, call);
              for (const one of await tx.records.list('domain'))
                if ((one.body['is_default'] === true) !== (one.id === found.id))
                  await setDefault(tx, one, one.id === found.id);
              const names = await tx.records.list('dns-resource');
              return { json: domainJson((await tx.records.find('domain', found.id))!, names) };
            }),
        },
      ],
    },
  });
}

async function setDefault(tx: Tx, record: StoredRecord, isDefault: boolean): Promise<void> {
  await tx.records.update({ ...record, body: { ...record.body, is_default: isDefault } });
}

function isIn({ body }: { readonly body: JsonObject }, domain: StoredRecord): boolean {
  return body['domain'] === domain.id;
}

function domainJson(record: StoredRecord, names: readonly StoredRecord[]): unknown {
  const { id, name, body } = record;
  return {
    id,
    name,
    ttl: body['ttl'] ?? null,
    authoritative: body['authoritative'] !== false,
    resource_record_count: names.filter((one) => isIn(one, record)).length,
    is_default: body['is_default'] === true,
    resource_uri: `${apiRoot}/domains/${id}/`,
  };
}
