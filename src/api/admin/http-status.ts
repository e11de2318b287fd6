import type { CodedError } from '../../../plugin-api/index.ts';

/** Codes whose HTTP status is not the one of their retry class. */
const statusOf: Readonly<Record<string, number>> = {
  'request.unauthenticated': 401,
  'request.forbidden': 403,
  'access.scope': 403,
  'access.throttled': 429,
  'request.too-many': 429,
  'service.overloaded': 503,
  'access.last-admin': 409,
  'access.exists': 409,
  'access.in-use': 409,
  'request.not-found': 404,
  'machine.unknown': 404,
  'rack.in-use': 409,
  'rack.invalid': 422,
  'machine.ambiguous': 409,
  'machine.state': 409,
  'machine.quarantined': 409,
  'machine.no-evidence': 409,
  'machine.locked': 409,
  'pool.door': 409,
  'pool.in-use': 409,
  'pool.exists': 409,
  'claim.machine-taken': 409,
  'claim.not-held': 403,
  'claim.instance-elsewhere': 409,
  'claim.unknown-instance': 409,
  'operation.conflict': 409,
  'operation.erasing': 409,
  'instance.elsewhere': 421,
  'instance.gone': 503,
  'instance.silent': 503,
  'instance.stopping': 503,
  'restore.pending': 503,
  'store.conflict': 409,
  'store.unavailable': 503,
  'store.outcome-unknown': 503,
  'internal.bug': 500,
};

/** The HTTP status of an error at this door: by its code, else 502 for devices, else 400. */
export function httpStatus(error: CodedError): number {
  const known = statusOf[error.code];
  if (known !== undefined) return known;
  return /^(power|switch|deploy|maas|cloudstack)\./.test(error.code) ? 502 : 400;
}
