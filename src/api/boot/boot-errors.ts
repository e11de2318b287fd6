import type { Response } from 'express';
import type { CodedError } from '../../../plugin-api/index.ts';
import { ServiceError, asCodedError } from '../../kernel/errors/service-error.ts';
import { Throttled } from '../../kernel/errors/throttled.ts';

/** The boot protocol's dialect of errors: the agent repeats a call after 5xx, and never after 4xx. */
const statusByCode: Readonly<Record<string, number>> = {
  'request.invalid': 400,
  'request.unauthenticated': 401,
  'request.not-found': 404,
  // Not 429: what is a 4xx the agent never repeats.
  'request.too-many': 503,
  'service.overloaded': 503,
  'boot.refused': 410,
  'image.storage': 503,
  'store.conflict': 503,
  'store.unavailable': 503,
  'store.outcome-unknown': 503,
};

/** Answers with `{"error": {"code", "what"}}`; what is unexpected shows no detail. Returns the error for the log. */
export function sendError(res: Response, thrown: unknown): CodedError {
  const error = fromBodyParser(thrown) ?? asCodedError(thrown);
  const status = httpStatus(thrown) ?? statusByCode[error.code] ?? 500;
  if (status === 401) res.set('www-authenticate', 'Bearer');
  if (error instanceof Throttled) res.set('retry-after', String(error.retryAfter));
  const what = status === 500 ? 'a fault of the service' : error.what;
  res.status(status).json({ error: { code: error.code, what } });
  return error;
}

/** Express and its body parsers throw errors with a 4xx `status` for what the client did wrong. */
function httpStatus(thrown: unknown): number | null {
  const status = (thrown as { readonly status?: unknown } | null)?.status;
  return typeof status === 'number' && status >= 400 && status < 500 ? status : null;
}

function fromBodyParser(thrown: unknown): ServiceError | null {
  if (httpStatus(thrown) === null) return null;
  const what = thrown instanceof Error ? thrown.message : 'the request is malformed';
  return new ServiceError({ code: 'request.invalid', what, cause: thrown });
}
