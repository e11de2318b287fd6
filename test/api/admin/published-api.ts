import assert from 'node:assert/strict';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';

type Json = Readonly<Record<string, unknown>>;

interface Operation {
  readonly responses: Readonly<Record<string, Answer>>;
}

interface Answer {
  readonly content?: Readonly<Record<string, { readonly schema: Json }>>;
}

interface Document extends Json {
  readonly openapi: string;
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, Json>> };
}

/**
 * What the service publishes of itself, as a judge of its answers. Stricter than the document: a member that it does not name is a
 * fault here, because it was forgotten there.
 */
export class PublishedApi {
  readonly document: Document;
  readonly #ajv = new Ajv2020({ strict: false, allErrors: true });
  readonly #validators = new Map<string, ValidateFunction>();

  constructor(document: Document) {
    this.document = document;
    this.#ajv.addSchema(closed(document) as Json, 'api');
  }

  static async read(url: string): Promise<PublishedApi> {
    const response = await fetch(`${url}/openapi.json`);
    assert.equal(response.status, 200);
    return new PublishedApi((await response.json()) as Document);
  }

  /** @param path below `/api/v1`, with or without a query */
  check(method: string, path: string, status: number, body: unknown): void {
    const template = this.templateOf(`/api/v1${path.split('?')[0]!}`);
    const operation = template && this.document.paths[template]?.[method.toLowerCase()];
    // What is not there is refused in the shape of every refusal.
    const pointer = operation
      ? ['paths', template, method.toLowerCase(), 'responses', answerOf(operation, status)]
      : ['components', 'schemas', 'ErrorAnswer'];
    const schema = operation ? [...pointer, 'content', 'application/json', 'schema'] : pointer;
    const ref = `api#/${schema.map(escaped).join('/')}`;
    let validate = this.#validators.get(ref);
    if (!validate) {
      validate = this.#ajv.compile({ $ref: ref });
      this.#validators.set(ref, validate);
    }
    assert.ok(
      validate(body),
      `${method} ${path} answered ${status}, not as published: ${JSON.stringify(validate.errors)}\n${JSON.stringify(body)}`,
    );
  }

  /** `/api/v1/machines/{name}` for the path of one machine. */
  templateOf(path: string): string | undefined {
    const parts = path.split('/');
    return Object.keys(this.document.paths).find((template) => {
      const own = template.split('/');
      return own.length === parts.length && own.every((part, i) => part.startsWith('{') || part === parts[i]);
    });
  }
}

function answerOf(operation: Operation, status: number): string {
  return String(status) in operation.responses ? String(status) : 'default';
}

function escaped(part: string): string {
  return encodeURIComponent(part.replaceAll('~', '~0').replaceAll('/', '~1'));
}

/** Every object with named members, and nothing said of others, has no others. */
function closed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(closed);
  if (typeof value !== 'object' || value === null) return value;
  const members = Object.fromEntries(Object.entries(value).map(([key, member]) => [key, closed(member)]));
  const open = members['type'] === 'object' && typeof members['properties'] === 'object';
  const loose = open && Object.keys(members['properties'] as object).length === 0;
  return open && !loose && members['additionalProperties'] === undefined
    ? { ...members, additionalProperties: false }
    : members;
}
