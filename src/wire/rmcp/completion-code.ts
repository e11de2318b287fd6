/** Completion codes that are acted upon (IPMI 2.0, table 5-2). */
export const completionCode = {
  ok: 0x00,
  parameterNotSupported: 0x80,
  privilegeNotAvailable: 0x80,
  privilegeExceedsLimit: 0x81,
  sessionUnknown: 0x87,
  busy: 0xc0,
  invalidCommand: 0xc1,
  timeout: 0xc3,
  outOfSpace: 0xc4,
  reservationCancelled: 0xc5,
  invalidLength: 0xc7,
  tooManyBytes: 0xca,
  notPresent: 0xcb,
  invalidField: 0xcc,
  initializing: 0xd2,
  insufficientPrivilege: 0xd4,
  notInThisState: 0xd5,
  unspecified: 0xff,
} as const;

const texts: Readonly<Record<number, string>> = {
  0xc0: 'busy',
  0xc1: 'no such command',
  0xc2: 'no such command for this LUN',
  0xc3: 'ran out of time',
  0xc4: 'out of space',
  0xc5: 'reservation cancelled',
  0xc6: 'data truncated',
  0xc7: 'wrong data length',
  0xc8: 'data too long',
  0xc9: 'parameter out of range',
  0xca: 'cannot return so many bytes',
  0xcb: 'not present',
  0xcc: 'invalid data field',
  0xcd: 'not possible for this record',
  0xce: 'cannot answer',
  0xcf: 'duplicate request',
  0xd0: 'sensor records are being updated',
  0xd1: 'firmware is being updated',
  0xd2: 'starting up',
  0xd3: 'destination gone',
  0xd4: 'privilege too low',
  0xd5: 'not possible in the present state',
  0xd6: 'switched off',
  0xff: 'unspecified error',
};

/** `completion code D5h (not possible in the present state)`: for error texts. */
export function describeCompletion(code: number): string {
  const hex = code.toString(16).toUpperCase().padStart(2, '0');
  const text = texts[code] ?? (code >= 0x80 && code <= 0xbe ? 'specific to the command' : 'unknown meaning');
  return `completion code ${hex}h (${text})`;
}
