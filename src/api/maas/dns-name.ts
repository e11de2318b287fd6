import type { StoredRecord } from '../../core/storage/stored-record.ts';
import type { Tx } from '../../core/storage/storage.ts';
import type { Fields } from './fields.ts';
import { invalidField } from './maas-refusal.ts';
import { findBySpecifier, noChoice } from './stored-resource.ts';
import { textOf } from './text-of.ts';

/** A name within a domain of ours. */
export interface DnsName {
  readonly name: string;
  /** Number of the domain's record. */
  readonly domain: number;
  readonly fqdn: string;
}

/** The name that the form gives: whole, or with its domain apart. What is not said stays as it was. */
export async function dnsNameOf(tx: Tx, fields: Fields, before: StoredRecord | null): Promise<DnsName> {
  const fqdn = fields.get('fqdn');
  if (fqdn) return split(tx, fqdn);
  const name = fields.get('name') || textOf(before?.body['name'] ?? '');
  if (name === '') throw invalidField('name', 'This field is required.');
  const said = fields.get('domain') || textOf(before?.body['domain'] ?? '');
  if (said === '') throw invalidField('domain', 'This field is required.');
  const domain = await findBySpecifier(tx, 'domain', said);
  if (!domain) throw noChoice('domain');
  return checked(name, domain);
}

/** At the longest domain that the name ends in. */
async function split(tx: Tx, fqdn: string): Promise<DnsName> {
  const fitting = (await tx.records.list('domain'))
    .filter(({ name }) => fqdn.endsWith(`.${name ?? ''}`))
    .sort((a, b) => (b.name ?? '').length - (a.name ?? '').length);
  const [domain] = fitting;
  if (!domain) throw invalidField('fqdn', `No domain of ${fqdn} is known here.`);
  return checked(fqdn.slice(0, -(domain.name ?? '').length - 1), domain);
}

function checked(name: string, domain: StoredRecord): DnsName {
  // Underscores and * are for records of services and wildcards.
  if (name.length > 191 || !/^(@|\*|[\w*]([\w.*-]*[\w])?)$/.test(name))
    throw invalidField('name', 'Invalid hostname.');
  return { name, domain: domain.id, fqdn: `${name}.${domain.name ?? ''}` };
}

/** Whether the list is to show a name. */
export function isNamed(body: StoredRecord['body'], fields: Fields): boolean {
  const fits = (key: string): boolean => !fields.get(key) || fields.get(key) === body[key];
  return fits('fqdn') && fits('name');
}

/** Whether the list is to show names of the domain. */
export function inDomain(id: unknown, fields: Fields, domains: readonly StoredRecord[]): boolean {
  const wanted = fields.get('domain');
  if (!wanted) return true;
  return wanted === String(id) || domains.some((domain) => domain.id === id && domain.name === wanted);
}
