import type { RequestListener } from 'node:http';
import { handlers } from './handlers/index.ts';
import { maasApp } from './maas-app.ts';
import type { MaasContext } from './maas-context.ts';

/** The door for MAAS's clients: every handler that there is, over what the service is made of. */
export function maasDoor(context: MaasContext): RequestListener {
  return maasApp({ context, handlers: handlers(context) });
}
