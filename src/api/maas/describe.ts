import { createHash } from 'node:crypto';
import type { MaasAction, MaasHandler } from './handler.ts';

const restfulNames = { GET: 'read', POST: 'create', PUT: 'update', DELETE: 'delete' } as const;

/** What the `maas` command and libmaas learn the API from. */
export interface Description {
  /** Changes with the description: clients compare it with the header `X-MAAS-API-Hash`. */
  readonly hash: string;
  /** @param origin `http://host:5240`, which the absolute addresses begin with */
  document(origin: string): object;
}

/** Describes the handlers in MAAS's form: facts for programs, `:param` lines for the `maas` command. */
export function describe(all: readonly MaasHandler[]): Description {
  const handlers = all.filter(({ hidden }) => !hidden);
  const documentAt = (origin: string): object[] => handlers.map((handler) => resource(handler, origin));
  const hash = createHash('sha1')
    .update(JSON.stringify(documentAt('')))
    .digest('hex');
  return {
    hash,
    document: (origin) => {
      const resources = documentAt(origin);
      return { doc: 'MAAS API', resources, handlers: [], hash };
    },
  };
}

function resource(handler: MaasHandler, origin: string): object {
  const open = handler.actions.filter((action) => action.access === 'anybody');
  const all = open.length === handler.actions.length;
  const { name } = handler;
  return {
    name,
    anon: open.length > 0 ? view(handler, all ? name : `Anon${name}`, open, origin) : null,
    auth: all ? null : view(handler, name, handler.actions, origin),
  };
}

function view(handler: MaasHandler, name: string, actions: readonly MaasAction[], origin: string): object {
  const path = `/MAAS/api/2.0/${handler.path}`;
  return {
    name,
    doc: handler.doc,
    path,
    uri: `${origin}${path}`,
    params: [...handler.path.matchAll(/\{(\w+)\}/g)].map((match) => match[1]!),
    actions: actions.map((action) => ({
      name: action.op ?? restfulNames[action.method],
      doc: docOf(action),
      method: action.method,
      op: action.op,
      restful: action.op === null,
    })),
  };
}

/** The `maas` command lets its user give parameters only where the text has `:param`. */
function docOf({ doc, params = {} }: MaasAction): string {
  const lines = Object.entries(params).map(([name, meaning]) => `:param ${name}: ${meaning}`);
  return lines.length === 0 ? doc : `${doc}\n\n${lines.join('\n')}`;
}
