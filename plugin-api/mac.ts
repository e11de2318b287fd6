import { CodedError } from './coded-error.ts';

/** A MAC address in its one spelling: lower case, colons. Made only by {@link parseMac}. */
export type Mac = string & { readonly __brand: 'Mac' };

const separated = /^[0-9a-f]{2}([:-][0-9a-f]{2}){5}$/;
const dotted = /^[0-9a-f]{4}(\.[0-9a-f]{4}){2}$/;
const bare = /^[0-9a-f]{12}$/;

/**
 * Reads a MAC in any of the usual spellings (`AA:BB:..`, `aa-bb-..`, `aabb.ccdd.eeff`, `aabbccddeeff`).
 * @throws CodedError `value.mac` when the text is none of them, all zeros, or a group address.
 */
export function parseMac(text: string): Mac {
  const lower = text.trim().toLowerCase();
  if (!separated.test(lower) && !dotted.test(lower) && !bare.test(lower))
    throw badMac(text, 'it is not six bytes in hex');
  const digits = lower.replaceAll(/[^0-9a-f]/g, '');
  if (/^0+$/.test(digits)) throw badMac(text, 'it is all zeros');
  if (Number.parseInt(digits.slice(0, 2), 16) & 1) throw badMac(text, 'it is a group (multicast) address');
  return digits.match(/../g)!.join(':') as Mac;
}

function badMac(text: string, why: string): CodedError {
  return new CodedError({
    code: 'value.mac',
    retry: 'never',
    what: `"${text}" is not a MAC address: ${why}`,
    remedy: 'write six bytes in hex, for example 52:54:00:aa:00:01',
  });
}
