import type { Request, Response } from 'express';
import type { z } from 'zod';
import type { Asker, Principal } from '../../core/access/principal.ts';
import type { Action } from '../../core/access/rights.ts';

/** What a handler answers; `streamed` = it has answered by itself. */
export type Reply = { readonly status: number; readonly body?: object } | 'streamed';

/** One request, checked: who asks may do it, query and body are as their schemas say. */
export interface Call<Query, Body> {
  readonly principal: Principal;
  readonly query: Query;
  readonly body: Body;
  readonly req: Request;
  readonly res: Response;
  /** A part of the path, decoded. */
  readonly param: (name: string) => string;
  /** The principal as it asks through this door. */
  readonly asker: (reason?: string) => Asker;
}

/** A body that is no JSON: text of at most so many bytes, or bytes that the handler reads itself. */
export type OtherBody = { readonly text: number; readonly summary: string } | { readonly bytes: string };

/** What an answer's body is: a schema, another media type, or nothing. */
export type AnswerShape = z.ZodType | { readonly media: string; readonly summary: string } | null;

/** One address and method of the API. The server and the published OpenAPI document are made from it. */
export interface Route {
  readonly method: 'get' | 'post' | 'put' | 'delete';
  /** With `{name}` for its parts. */
  readonly path: string;
  readonly summary: string;
  /** What it takes the right to do; null = anybody may, without a token. */
  readonly action: Action | null;
  readonly query: z.ZodType | null;
  readonly body: z.ZodType | OtherBody | null;
  readonly answers: Readonly<Record<number, AnswerShape>>;
  handle(call: Call<unknown, unknown>): Promise<Reply> | Reply;
}

type BodyOf<B> = B extends z.ZodType ? z.output<B> : B extends { readonly text: number } ? string : undefined;
type QueryOf<Q> = Q extends z.ZodType ? z.output<Q> : undefined;

/** Declares a route; its handler gets query and body as the schemas leave them. */
export function route<
  Q extends z.ZodType | undefined = undefined,
  B extends z.ZodType | OtherBody | undefined = undefined,
>(spec: {
  readonly method: Route['method'];
  readonly path: string;
  readonly summary: string;
  readonly action: Action | null;
  readonly query?: Q;
  readonly body?: B;
  readonly answers: Route['answers'];
  handle(call: Call<QueryOf<Q>, BodyOf<B>>): Promise<Reply> | Reply;
}): Route {
  return {
    ...spec,
    query: spec.query ?? null,
    body: spec.body ?? null,
    // The mount parses by these very schemas before it calls.
    handle: (call) => spec.handle(call as Call<QueryOf<Q>, BodyOf<B>>),
  };
}
