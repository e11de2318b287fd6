import { z } from 'zod';
import { errorAnswerShape } from './answers.ts';
import type { AnswerShape, Route } from './route.ts';

type Json = Readonly<Record<string, unknown>>;

const descriptions: Readonly<Record<number, string>> = {
  200: 'Done',
  201: 'Made',
  202: 'Accepted: the operation is journaled',
  204: 'Done',
};

/** The OpenAPI 3.1 document of the routes: what is published is what the server checks by. */
export function openApi(routes: readonly Route[], version: string): Json {
  const schemas: Record<string, unknown> = {};
  const schemaOf = (schema: z.ZodType, io: 'input' | 'output'): Json => {
    const { $defs, ...own } = z.toJSONSchema(schema, {
      io,
      // What is checked after a transformation is described by what goes in.
      unrepresentable: 'any',
      override: ({ jsonSchema }) => {
        // Who reads answers must bear new members; only what is sent is taken strictly.
        if (io === 'output' && jsonSchema.additionalProperties === false)
          delete jsonSchema.additionalProperties;
        delete jsonSchema.id;
      },
    }) as Record<string, unknown> & { readonly $defs?: Json };
    for (const [name, definition] of Object.entries($defs ?? {})) schemas[name] = hoisted(definition);
    // The document itself says which dialect it is in.
    delete own['$schema'];
    return hoisted(own) as Json;
  };
  const answer = (shape: AnswerShape, status: number): Json => {
    const description = descriptions[status] ?? 'Done';
    if (shape === null) return { description };
    if ('media' in shape) {
      return { description: shape.summary, content: { [shape.media]: { schema: { type: 'string' } } } };
    }
    return { description, content: { 'application/json': { schema: schemaOf(shape, 'output') } } };
  };
  const paths: Record<string, Record<string, unknown>> = {};
  for (const one of routes) {
    const answers = Object.entries(one.answers).map(([status, shape]) => [
      status,
      answer(shape, Number(status)),
    ]);
    const methods = (paths[one.path] ??= {});
    methods[one.method] = {
      operationId: operationId(one),
      summary: one.summary,
      ...(one.action === null ? { security: [] } : { 'x-csbm-action': one.action }),
      parameters: [
        ...pathParameters(one.path),
        ...queryParameters(one.query && schemaOf(one.query, 'input')),
      ],
      ...(one.body !== null && { requestBody: requestBody(one.body, schemaOf) }),
      responses: {
        ...(Object.fromEntries(answers) as Json),
        default: {
          description: 'Refused, or failed: the code says why (docs/failures.md)',
          content: { 'application/json': { schema: schemaOf(errorAnswerShape, 'output') } },
        },
      },
    };
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'csbm admin API',
      version,
      summary: 'What the command line speaks. Times are epoch milliseconds.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/' }],
    security: [{ token: [] }],
    paths,
    components: {
      securitySchemes: { token: { type: 'http', scheme: 'bearer', description: 'csbm principal add' } },
      schemas,
    },
  };
}

function requestBody(
  body: NonNullable<Route['body']>,
  schemaOf: (schema: z.ZodType, io: 'input') => Json,
): Json {
  if ('text' in body)
    return {
      description: body.summary,
      required: true,
      content: { 'text/plain': { schema: { type: 'string' } } },
    };
  if ('bytes' in body)
    return { description: body.bytes, required: true, content: { 'application/octet-stream': {} } };
  return {
    required: !body.safeParse({}).success,
    content: { 'application/json': { schema: schemaOf(body, 'input') } },
  };
}

function pathParameters(path: string): readonly Json[] {
  return [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string' },
  }));
}

function queryParameters(query: Json | null): readonly Json[] {
  const properties = (query?.['properties'] ?? {}) as Readonly<Record<string, Json>>;
  const required = (query?.['required'] ?? []) as readonly string[];
  return Object.entries(properties).map(([name, { description, ...schema }]) => ({
    name,
    in: 'query',
    required: required.includes(name),
    ...(description !== undefined && { description }),
    schema,
  }));
}

/** Definitions that zod puts beside each schema stand once in the document. */
function hoisted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(hoisted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, member]) =>
      key === '$ref' && typeof member === 'string'
        ? [key, member.replace('#/$defs/', '#/components/schemas/')]
        : [key, hoisted(member)],
    ),
  );
}

/** `post /api/v1/machines/{name}/plug-nic` is `postMachinesNamePlugNic`. */
function operationId({ method, path }: Route): string {
  const words = path.replace(/^\/api\/v1/, '').split(/[^A-Za-z0-9]+/);
  return [
    method,
    ...words.filter((word) => word !== '').map((word) => word[0]!.toUpperCase() + word.slice(1)),
  ].join('');
}
