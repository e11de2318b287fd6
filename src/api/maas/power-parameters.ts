import { isIPv6 } from 'node:net';
import { Secret } from '../../../plugin-api/index.ts';
import type { BmcRecord, Machine } from '../../core/machine/machine.ts';
import type { Fields } from './fields.ts';
import { invalidField } from './maas-refusal.ts';

/** Power types that a machine can be given: those that have a driver here. */
const powerTypes = ['ipmi'];

const prefix = 'power_parameters_';

/** The parameters of an IPMI BMC, by MAAS's names. */
export const powerParameters: Readonly<Record<string, string>> = {
  power_type: `How its power is switched: ${powerTypes.join(', ')}.`,
  power_parameters: 'All power parameters as one JSON object.',
  power_parameters_power_address: 'Address of the BMC; with :PORT where it is not 623.',
  power_parameters_power_user: 'User of the BMC.',
  power_parameters_power_pass: 'Password of the BMC.',
  power_parameters_k_g: 'BMC key, as text.',
  power_parameters_cipher_suite_id: '17 or 3: the weakest cipher suite that is acceptable.',
  power_parameters_privilege_level: 'OPERATOR or ADMIN.',
  power_parameters_power_boot_type: 'auto, legacy or efi: how it boots.',
  power_parameters_skip_check: 'Taken and not needed: a BMC is tried when the machine is commissioned.',
};

/** What was said about power; undefined = nothing. */
export interface SaidPower {
  readonly host?: string;
  readonly port?: number;
  readonly username?: string;
  readonly password?: Secret;
  readonly kg?: Secret;
  readonly minSuite?: 3 | 17;
  readonly privilege?: 'operator' | 'administrator';
  readonly firmware?: 'legacy' | 'efi';
}

/** @throws MaasRefusal 400 */
export function readPower(fields: Fields): SaidPower {
  const type = fields.get('power_type');
  if (type !== undefined && type !== '' && !powerTypes.includes(type))
    throw invalidField('power_type', `Select a valid choice. ${type} is not one of the available choices.`);
  const said = new Map([...jsonParameters(fields.get('power_parameters')), ...plainParameters(fields)]);
  const text = (name: string): string | undefined => {
    const value = said.get(name)?.trim();
    return value === '' ? undefined : value;
  };
  const address = text('power_address');
  const endpoint = address === undefined ? {} : endpointOf(address);
  const username = text('power_user');
  const password = said.get('power_pass');
  // What IPMI 2.0 can carry.
  if (Buffer.byteLength(username ?? '') > 16)
    throw invalidField('power_parameters', 'Power user: Ensure this value has at most 16 characters.');
  if (Buffer.byteLength(password ?? '') > 20)
    throw invalidField('power_parameters', 'Power password: Ensure this value has at most 20 characters.');
  const kg = text('k_g');
  const suite = text('cipher_suite_id');
  const privilege = text('privilege_level')?.toUpperCase();
  const boot = text('power_boot_type')?.toLowerCase();
  return {
    ...endpoint,
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password: new Secret(password) }),
    ...(kg !== undefined && { kg: new Secret(kg) }),
    ...(suite !== undefined && { minSuite: suite === '17' ? (17 as const) : (3 as const) }),
    ...(privilege !== undefined && {
      privilege: privilege.startsWith('ADMIN') ? ('administrator' as const) : ('operator' as const),
    }),
    ...(boot === 'efi' && { firmware: 'efi' as const }),
    ...(boot === 'legacy' && { firmware: 'legacy' as const }),
  };
}

/** `host`, `host:port`, a bare IPv6 address or `[IPv6]:port`. @throws MaasRefusal 400 */
function endpointOf(address: string): { readonly host: string; readonly port: number } {
  if (isIPv6(address)) return { host: address, port: 623 };
  const [, bracketed, plain, port = '623'] =
    /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]{1,253}))(?::(\d{1,5}))?$/.exec(address) ?? [];
  const host = plain ?? (bracketed !== undefined && isIPv6(bracketed) ? bracketed : undefined);
  if (host === undefined || Number(port) < 1 || Number(port) > 65_535)
    throw invalidField('power_parameters', 'Power address: Enter HOST, HOST:PORT or [IPv6]:PORT.');
  return { host, port: Number(port) };
}

/** What a client said over what was known. */
export function withPower(known: BmcRecord | null, said: SaidPower): Omit<BmcRecord, 'knownSuite'> | null {
  const bmc = Object.fromEntries(Object.entries(said).filter(([name]) => name !== 'firmware')) as Omit<
    SaidPower,
    'firmware'
  >;
  if (Object.keys(bmc).length === 0) return null;
  const host = bmc.host ?? known?.host;
  if (host === undefined) throw invalidField('power_parameters', 'Power address: This field is required.');
  return {
    driver: known?.driver ?? 'ipmi',
    port: 623,
    username: '',
    password: new Secret(''),
    kg: null,
    privilege: 'operator',
    minSuite: 3,
    ...known,
    ...bmc,
    host,
  };
}

/** As MAAS tells it to administrators: with the password, which their tools compare and use. */
export function powerJson({
  bmc,
  firmware,
}: Pick<Machine, 'bmc' | 'firmware'>): Readonly<Record<string, string>> {
  if (!bmc) return {};
  return {
    power_driver: 'LAN_2_0',
    power_boot_type: firmware === 'efi' ? 'efi' : 'auto',
    power_address:
      bmc.port === 623 ? bmc.host : `${isIPv6(bmc.host) ? `[${bmc.host}]` : bmc.host}:${bmc.port}`,
    power_user: bmc.username,
    power_pass: bmc.password.reveal(),
    k_g: bmc.kg?.reveal() ?? '',
    cipher_suite_id: String(bmc.knownSuite ?? bmc.minSuite),
    privilege_level: bmc.privilege === 'administrator' ? 'ADMIN' : 'OPERATOR',
    mac_address: '',
  };
}

function plainParameters(fields: Fields): readonly (readonly [string, string])[] {
  return fields.entries
    .filter(([name]) => name.startsWith(prefix))
    .map(([name, value]) => [name.slice(prefix.length), value] as const);
}

function jsonParameters(text: string | undefined): readonly (readonly [string, string])[] {
  if (text === undefined || text === '') return [];
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw invalidField('power_parameters', 'Failed to parse JSON power_parameters');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw invalidField('power_parameters', 'Power parameters must be a dictionary.');
  return Object.entries(value).flatMap(([name, one]) => (one === null ? [] : [[name, String(one)] as const]));
}
