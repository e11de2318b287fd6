import type { Asker, Principal } from '../../core/access/principal.ts';
import type { Fields } from './fields.ts';

/** Who may call an action: anybody, every user, or administrators (role admin or operator) only. */
export type MaasAccess = 'anybody' | 'user' | 'admin';

/** Who calls. */
export interface MaasUser {
  readonly principal: Principal;
  readonly isAdmin: boolean;
  /** As it asks the operations for something. */
  asker(reason?: string): Asker;
}

/** One call of an action, authenticated; its handler authorises whatever concerns one machine. */
export interface MaasCall {
  /** Nobody for an action that anybody may call. */
  readonly user: MaasUser;
  /** A part of the path, decoded. */
  readonly param: (name: string) => string;
  /** Fields of query and body together, without `op` and `oauth_*`. */
  readonly fields: Fields;
  /** The body as it came, for actions that take bytes. */
  readonly bytes: Buffer;
  /** `http://host:5240/MAAS`, as the client wrote it. */
  readonly root: string;
  /** Aborts when the client goes away. */
  readonly signal: AbortSignal;
}

/** What an action answers; 200 where no status is said. */
export type MaasReply =
  | { readonly status?: number; readonly json: unknown }
  | { readonly status?: number; readonly text: string; readonly type?: string }
  | { readonly status?: number; readonly bytes: Buffer; readonly type: string }
  /** A JSON array whose items are written as they come. */
  | { readonly status?: number; readonly stream: AsyncIterable<unknown> }
  /** 204. */
  | { readonly empty: true };

/** One method, with or without an operation (`?op=`), of a resource. */
export interface MaasAction {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** Null for the resource's own read, create, update and delete. */
  readonly op: string | null;
  /** For people and for the `maas` command, which shows it. */
  readonly doc: string;
  /** Its parameters with what they mean: the `maas` command sends only what is listed here. */
  readonly params?: Readonly<Record<string, string>>;
  /** Default `user`. */
  readonly access?: MaasAccess;
  /** Whether it acts, or only keeps what it is told so that clients find it again. Default `acts`. */
  readonly effect?: 'acts' | 'stored';
  handle(call: MaasCall): Promise<MaasReply> | MaasReply;
}

/** One address of the API. Server, `describe/` and the compatibility page are made from it. */
export interface MaasHandler {
  /** MAAS's own name of it, for example `MachinesHandler`: clients derive their names from it. */
  readonly name: string;
  readonly doc: string;
  /** Below `/MAAS/api/2.0/`, with `{name}` for its parts: `nodes/{system_id}/interfaces/{id}/`. */
  readonly path: string;
  /** Other addresses of the same resource that are not told in `describe/`. */
  readonly aliases?: readonly string[];
  /** Another address of a resource that is told in `describe/` already. */
  readonly hidden?: true;
  readonly actions: readonly MaasAction[];
}
