import type { StoredRecord } from '../../../core/storage/stored-record.ts';
import { dnsNameOf, inDomain, isNamed } from '../dns-name.ts';
import { addressesField, nullableField, textField, wholeField } from '../form-field.ts';
import type { MaasHandler } from '../handler.ts';
import type { MaasContext } from '../maas-context.ts';
import { apiRoot } from '../shapes/resource-uri.ts';
import { storedResource } from '../stored-resource.ts';
import { dnsRecordJson } from './dns-records.ts';
import { textOf } from '../text-of.ts';

const ttl = { min: 0, max: 604_800 };

/** `dnsresources/`: names with addresses; kept for clients, we serve no DNS. */
export function dnsResourcesHandlers({ storage }: MaasContext): readonly MaasHandler[] {
  return storedResource(storage, {
    kind: 'dns-resource',
    what: 'DNSResource',
    names: ['DNSResourcesHandler', 'DNSResourceHandler'],
    doc: 'names with addresses; no DNS is served here',
    paths: ['dnsresources/', 'dnsresources/{id}/'],
    form: {
      fqdn: textField('The whole name; or name and domain.'),
      name: textField('The name without its domain.'),
      domain: textField('Number or name of the domain.'),
      address_ttl: nullableField(wholeField('Seconds; only kept.', null, ttl)),
      ip_addresses: addressesField('Its addresses, separated by blanks.'),
    },
    nameField: 'fqdn',
    name: (body) => textOf(body['fqdn']),
    around: (tx) => Promise.all([tx.records.list('dns-record'), tx.records.list('domain')]),
    shape: (record, [records, domains]) => dnsResourceJson(record, records, domains),
    filters: {
      fqdn: 'only this name',
      name: 'only this name within its domain',
      domain: 'only of this domain',
    },
    shows: ({ body }, fields, [, domains]) =>
      inDomain(body['domain'], fields, domains) && isNamed(body, fields),
    check: async ({ tx, call, body, before }) => ({
      ...body,
      ...(await dnsNameOf(tx, call.fields, before)),
    }),
    deleting: async (tx, { name }) => {
      for (const { id, body } of await tx.records.list('dns-record'))
        if (body['fqdn'] === name) await tx.records.delete('dns-record', id);
    },
  });
}

function dnsResourceJson(
  { id, body }: StoredRecord,
  records: readonly StoredRecord[],
  domains: readonly StoredRecord[],
): unknown {
  const domain = domains.find((one) => one.id === body['domain']);
  const fqdn = `${textOf(body['name'])}.${domain?.name ?? ''}`;
  return {
    id,
    fqdn,
    address_ttl: body['address_ttl'] ?? null,
    ip_addresses: (body['ip_addresses'] as readonly string[]).map((ip) => ({
      alloc_type: 4,
      alloc_type_name: 'User reserved',
      ip,
      interface_set: [],
    })),
    resource_records: records.filter((one) => one.body['fqdn'] === fqdn).map(dnsRecordJson),
    resource_uri: `${apiRoot}/dnsresources/${id}/`,
  };
}
