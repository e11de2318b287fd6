import type { JsonValue } from '../../../plugin-api/index.ts';
import type { MachineProfile } from '../../core/machine/profile.ts';
import type { Tx } from '../../core/storage/storage.ts';
import type { Fields } from './fields.ts';
import { wholeNumber } from './form-values.ts';
import { invalidField } from './maas-refusal.ts';
import { Surroundings } from './surroundings.ts';

/** What is said about a machine and only kept, for `describe/`. */
export const profileParameters: Readonly<Record<string, string>> = {
  description: 'For people.',
  domain: 'Name of the DNS domain.',
  zone: 'Name of the zone.',
  min_hwe_kernel: 'Kept and shown: images bring their own kernel.',
  swap_size: 'Kept and shown: images bring their own swap.',
};

/** @throws MaasRefusal 400 */
export function readHostname(fields: Fields): string | null {
  const text = fields.get('hostname')?.trim();
  if (text === undefined || text === '') return null;
  // A name with its domain is cut there, as MAAS does it.
  const [name = '', ...domain] = text.split('.');
  if (!/^[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?$/.test(name) || domain.includes(''))
    throw invalidField(
      'hostname',
      `Invalid hostname: Label cannot start or end with hyphen, or hold other than letters, digits and hyphens: '${text}'.`,
    );
  return name;
}

/** Zone, domain and pool must be there before a machine can be in them. @throws MaasRefusal 400 */
export async function refuseUnknownPlaces(tx: Tx, fields: Fields): Promise<void> {
  const around = await Surroundings.read(tx);
  const refuse = (field: string): never => {
    throw invalidField(field, 'Select a valid choice. That choice is not one of the available choices.');
  };
  const zone = fields.get('zone');
  if (zone !== undefined && zone !== '' && !around.hasZone(zone)) refuse('zone');
  const domain = fields.get('domain');
  if (domain !== undefined && domain !== '' && !around.hasDomain(domain)) refuse('domain');
  const pool = fields.get('pool');
  if (pool === undefined || pool === '' || pool === 'default') return;
  if ((await tx.pools.find(pool)) || (await tx.machines.page(null, 1, { pools: [pool] })).length > 0) return;
  refuse('pool');
}

/** The change of a profile that the fields ask for; null = none. */
export function profileChange(fields: Fields): ((profile: MachineProfile) => MachineProfile) | null {
  const text = (name: string): string | undefined => fields.get(name)?.trim();
  const description = fields.get('description');
  const [zone, domain] = [text('zone'), text('domain')];
  const kept: Record<string, JsonValue> = {};
  const kernel = text('min_hwe_kernel');
  if (kernel !== undefined) kept['min_hwe_kernel'] = kernel;
  if (fields.has('swap_size')) kept['swap_size'] = wholeNumber(fields, 'swap_size') ?? null;
  const change = {
    ...(description !== undefined && { description }),
    ...(zone !== undefined && zone !== '' && { zone }),
    ...(domain !== undefined && domain !== '' && { domain }),
  };
  if (Object.keys(change).length === 0 && Object.keys(kept).length === 0) return null;
  return (profile) => ({ ...profile, ...change, kept: { ...profile.kept, ...kept } });
}
