import { CodedError } from '../../../plugin-api/index.ts';
import { ServiceError } from '../../kernel/errors/service-error.ts';
import { Throttled } from '../../kernel/errors/throttled.ts';
import { MalformedForm } from '../../wire/maas-form/form.ts';
import { MaasRefusal } from './maas-refusal.ts';

/** Statuses of codes at this door; what is not here is told by {@link statusOfFamily}. */
const statusOf: Readonly<Record<string, number>> = {
  'request.unauthenticated': 401,
  'request.forbidden': 403,
  'access.throttled': 429,
  'request.too-many': 429,
  'service.overloaded': 503,
  'access.exists': 400,
  'access.in-use': 400,
  'access.last-admin': 403,
  // What lies outside somebody's scope is like not there.
  'access.scope': 404,
  'request.not-found': 404,
  'machine.unknown': 404,
  'rack.in-use': 409,
  'machine.ambiguous': 409,
  'machine.state': 409,
  'machine.quarantined': 409,
  'machine.no-evidence': 409,
  'machine.locked': 409,
  'image.in-use': 409,
  'store.unavailable': 503,
  'store.outcome-unknown': 503,
  'store.conflict': 409,
  'internal.bug': 500,
};

/**
 * Seconds after which a repetition may succeed, for failures that pass by themselves. Never for a state that somebody has to
 * change: clients repeat a 409 or 503 with it, up to four times.
 */
const retryAfter: Readonly<Record<string, number>> = {
  'store.unavailable': 10,
  'store.conflict': 5,
  'power.busy': 10,
  'power.unreachable': 10,
};

const hidden: Readonly<Record<string, string>> = {
  'access.scope': 'Not Found',
  'machine.unknown': 'No Machine matches the given query.',
};

/** Any thrown thing as MAAS would tell it. Only coded errors have a text that is safe for everybody. */
export function asMaasRefusal(thrown: unknown): MaasRefusal {
  if (thrown instanceof MaasRefusal) return thrown;
  if (thrown instanceof MalformedForm) return new MaasRefusal(400, `Bad Request: ${thrown.message}.`);
  const error =
    thrown instanceof CodedError
      ? thrown
      : new ServiceError({ code: 'internal.bug', what: 'a fault of this service', cause: thrown });
  const status = statusOf[error.code] ?? statusOfFamily(error.code);
  const wait = error instanceof Throttled ? error.retryAfter : (retryAfter[error.code] ?? null);
  return new MaasRefusal(status, hidden[error.code] ?? error.message, wait);
}

/** 503 for devices that do not do what they should, 409 for what a machine's holder or work stands against, else 400. */
function statusOfFamily(code: string): number {
  if (/^(power|switch|deploy|maas|cloudstack)\./.test(code)) return 503;
  return /^(claim|operation|wiring|pool)\./.test(code) ? 409 : 400;
}
