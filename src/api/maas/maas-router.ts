import type { MaasAction, MaasHandler } from './handler.ts';

/** A handler that an address belongs to, with the parts of the path, decoded. */
export interface MaasRoute {
  readonly handler: MaasHandler;
  readonly params: Readonly<Record<string, string>>;
  /** From the end of the path (`/op-name`); null where there is none. */
  readonly op: string | null;
}

interface Node {
  readonly fixed: Map<string, Node>;
  /** What a part with any text leads to. */
  any: Node | null;
  handler: MaasHandler | null;
  /** Names of the parts, in order. */
  params: readonly string[];
  /** Whether the path may end with a slash, without one, or both. */
  readonly slashes: Set<boolean>;
}

const newNode = (): Node => ({ fixed: new Map(), any: null, handler: null, params: [], slashes: new Set() });

/** Finds handlers by path. */
export class MaasRouter {
  readonly #root = newNode();
  readonly #strict: boolean;

  /**
   * @param strict whether a path must end with a slash, or without one, just as the handler says: as in MAAS, where clients
   * that forget it get 404
   */
  constructor(handlers: readonly MaasHandler[], strict: boolean) {
    this.#strict = strict;
    for (const handler of handlers)
      for (const path of [handler.path, ...(handler.aliases ?? [])]) this.#add(path, handler);
  }

  /** @param path below `/MAAS/api/2.0/`, as it came */
  find(path: string): MaasRoute | null {
    const [, bare = path, op = null] = /^(.*\/)op-([A-Za-z0-9_]+)$/.exec(path) ?? [];
    const slash = bare === '' || bare.endsWith('/');
    const parts = slash ? bare.split('/').slice(0, -1) : bare.split('/');
    const values: string[] = [];
    const node = walk(this.#root, parts, 0, values);
    if (!node?.handler || (this.#strict && !node.slashes.has(slash))) return null;
    const params: Record<string, string> = {};
    for (const [at, name] of node.params.entries()) {
      const value = decoded(values[at]!);
      if (value === null) return null;
      params[name] = value;
    }
    return { handler: node.handler, params, op };
  }

  #add(path: string, handler: MaasHandler): void {
    const slash = path.endsWith('/');
    const params: string[] = [];
    let node = this.#root;
    for (const part of (slash ? path.slice(0, -1) : path).split('/')) {
      const name = /^\{(\w+)\}$/.exec(part)?.[1];
      if (name !== undefined) {
        params.push(name);
        node = node.any ??= newNode();
        continue;
      }
      const next = node.fixed.get(part) ?? newNode();
      node.fixed.set(part, next);
      node = next;
    }
    // The same path with and without its slash: whoever is not strict takes both anyway.
    if (node.handler === handler) return;
    if (node.handler && node.handler !== handler) throw new Error(`two handlers have the path ${path}`);
    Object.assign(node, { handler, params });
    node.slashes.add(slash);
  }
}

/** What is fixed goes before what may be anything. */
function walk(node: Node, parts: readonly string[], at: number, values: string[]): Node | null {
  if (at === parts.length) return node.handler ? node : null;
  const part = parts[at]!;
  const fixed = node.fixed.get(part);
  const found = fixed && walk(fixed, parts, at + 1, values);
  if (found) return found;
  if (!node.any || part === '') return null;
  values.push(part);
  const any = walk(node.any, parts, at + 1, values);
  if (!any) values.pop();
  return any;
}

function decoded(part: string): string | null {
  try {
    const text = decodeURIComponent(part);
    return text.includes('\0') ? null : text;
  } catch {
    return null;
  }
}

export function findAction(handler: MaasHandler, method: string, op: string | null): MaasAction | null {
  return handler.actions.find((action) => action.method === method && action.op === op) ?? null;
}

/** Methods that some action of the handler has, as the header `Allow` lists them. */
export function allowedMethods(handler: MaasHandler): readonly string[] {
  return ['GET', 'POST', 'PUT', 'DELETE'].filter((method) =>
    handler.actions.some((action) => action.method === method),
  );
}
