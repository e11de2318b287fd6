import type { RequestListener } from 'node:http';
import { handlers } from './handlers/index.ts';
import { maasApp, type MaasAppOptions } from './maas-app.ts';
import type { MaasContext } from './maas-context.ts';

/** The door for MAAS's clients: every handler that there is, over what the service is made of. */
export function maasDoor(
  context: MaasContext,
  options: Omit<MaasAppOptions, 'context' | 'handlers'> = {},
): RequestListener {
  return maasApp({ ...options, context, handlers: handlers(context) });
}
