/** RMCP+ status codes of Open Session and RAKP messages that are acted upon (IPMI 2.0, table 13-15). */
export const rmcpStatus = {
  ok: 0x00,
  noResources: 0x01,
  invalidSessionId: 0x02,
  invalidAuthentication: 0x04,
  invalidIntegrity: 0x05,
  invalidRole: 0x09,
  unauthorizedRole: 0x0a,
  noResourcesAtRole: 0x0b,
  invalidNameLength: 0x0c,
  unauthorizedName: 0x0d,
  unauthorizedGuid: 0x0e,
  invalidCheckValue: 0x0f,
  invalidConfidentiality: 0x10,
  noSuiteMatch: 0x11,
  illegalParameter: 0x12,
} as const;

const texts: Readonly<Record<number, string>> = {
  0x01: 'no free session',
  0x02: 'invalid session id',
  0x03: 'invalid payload type',
  0x04: 'invalid authentication algorithm',
  0x05: 'invalid integrity algorithm',
  0x06: 'no matching authentication payload',
  0x07: 'no matching integrity payload',
  0x08: 'inactive session id',
  0x09: 'invalid role',
  0x0a: 'role not allowed for this user',
  0x0b: 'no free session at this role',
  0x0c: 'invalid name length',
  0x0d: 'unknown user name',
  0x0e: 'GUID not allowed',
  0x0f: 'invalid check value',
  0x10: 'invalid confidentiality algorithm',
  0x11: 'no cipher suite fits',
  0x12: 'illegal parameter',
};

/** `status 0Dh (unknown user name)`: for error texts. */
export function describeRmcpStatus(status: number): string {
  const hex = status.toString(16).toUpperCase().padStart(2, '0');
  return `status ${hex}h (${texts[status] ?? 'unknown meaning'})`;
}
