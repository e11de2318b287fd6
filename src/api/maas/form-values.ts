import type { Fields } from './fields.ts';
import { invalidField, MaasRefusal } from './maas-refusal.ts';

/** The value, without blanks at its ends. @throws MaasRefusal 400 when it is missing or empty */
export function requiredField(fields: Fields, name: string): string {
  const value = fields.get(name)?.trim() ?? '';
  if (value === '') throw invalidField(name, 'This field is required.');
  return value;
}

/** The value of an operation's own parameter. @throws MaasRefusal 400 as MAAS tells it of those: `No provided name!` */
export function mandatoryParameter(fields: Fields, name: string): string {
  const value = fields.get(name);
  if (value === undefined || value === '') throw new MaasRefusal(400, `No provided ${name}!`);
  return value;
}

/** A flag as any client writes it; null = not said. MAAS's own forms take every other text for true. */
export function flagOf(fields: Fields, name: string): boolean | null {
  const value = fields.get(name)?.trim().toLowerCase();
  if (value === undefined || value === '') return null;
  return !['false', 'f', 'no', 'n', 'off', '0', 'none', 'null'].includes(value);
}

/** A whole number; undefined = not said. @throws MaasRefusal 400 */
export function wholeNumber(fields: Fields, name: string): number | undefined {
  const value = fields.get(name)?.trim();
  if (value === undefined || value === '') return undefined;
  if (!/^-?\d{1,9}$/.test(value)) throw invalidField(name, 'Enter a whole number.');
  return Number(value);
}

/** A machine whose user counts on bridges must not be deployed without them. @throws MaasRefusal 400 */
export function refuseBridges(fields: Fields): void {
  if (flagOf(fields, 'bridge_all') === true)
    throw invalidField('bridge_all', 'Bridges are not made here: let the system make them by its user data.');
}
