import type { StoredRecord } from '../../../core/storage/stored-record.ts';
import { dnsNameOf, inDomain, isNamed } from '../dns-name.ts';
import { choiceField, needed, nullableField, textField, wholeField } from '../form-field.ts';
import type { MaasHandler } from '../handler.ts';
import type { MaasContext } from '../maas-context.ts';
import { apiRoot } from '../shapes/resource-uri.ts';
import { storedResource } from '../stored-resource.ts';

/** Addresses are a matter of `dnsresources/`. */
const types = ['CNAME', 'MX', 'NS', 'SRV', 'SSHFP', 'TXT'];

/** `dnsresourcerecords/`: kept for clients, we serve no DNS. */
export function dnsRecordsHandlers({ storage }: MaasContext): readonly MaasHandler[] {
  return storedResource(storage, {
    kind: 'dns-record',
    what: 'DNSData',
    names: ['DNSResourceRecordsHandler', 'DNSResourceRecordHandler'],
    doc: 'DNS records; no DNS is served here',
    paths: ['dnsresourcerecords/', 'dnsresourcerecords/{id}/'],
    form: {
      fqdn: textField('The whole name; or name and domain.'),
      name: textField('The name without its domain.'),
      domain: textField('Number or name of the domain.'),
      rrtype: needed(choiceField('Type of the record.', types)),
      rrdata: needed(textField('What it says.', { max: 2048 })),
      ttl: nullableField(wholeField('Seconds; only kept.', null, { min: 0, max: 604_800 })),
    },
    around: (tx) => tx.records.list('domain'),
    shape: dnsRecordJson,
    filters: {
      fqdn: 'only of this name',
      name: 'only of this name within its domain',
      domain: 'only of this domain',
      rrtype: 'only of this type',
    },
    shows: ({ body }, fields, domains) =>
      inDomain(body['domain'], fields, domains) &&
      isNamed(body, fields) &&
      (!fields.get('rrtype') || fields.get('rrtype') === body['rrtype']),
    check: async ({ tx, call, body, before }) => ({
      ...body,
      ...(await dnsNameOf(tx, call.fields, before)),
    }),
  });
}

export function dnsRecordJson({ id, body: { fqdn, ttl, rrtype, rrdata } }: StoredRecord): unknown {
  return { id, fqdn, ttl: ttl ?? null, rrtype, rrdata, resource_uri: `${apiRoot}/dnsresourcerecords/${id}/` };
}
