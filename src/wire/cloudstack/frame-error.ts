import { ServiceError } from '../../kernel/errors/service-error.ts';

/** A frame, packet or body that breaks the protocol. `what` must not quote a body: bodies carry passwords. */
export function frameError(what: string, cause?: unknown): ServiceError {
  return new ServiceError({ code: 'agent.frame', what, cause });
}
