import { CodedError } from './coded-error.ts';

/** An 802.1Q VLAN id, 1 to 4094. Made only by {@link parseVlanId}. */
export type VlanId = number & { readonly __brand: 'VlanId' };

/** @throws CodedError `value.vlan` unless the value is a whole number from 1 to 4094. */
export function parseVlanId(value: number | string): VlanId {
  const id = typeof value === 'number' ? value : /^\d{1,4}$/.test(value.trim()) ? Number(value) : Number.NaN;
  if (!Number.isInteger(id) || id < 1 || id > 4094) {
    throw new CodedError({
      code: 'value.vlan',
      retry: 'never',
      what: `"${value}" is not a VLAN id`,
      remedy: 'use a whole number from 1 to 4094',
    });
  }
  return id as VlanId;
}
