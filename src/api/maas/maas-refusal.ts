/** A refusal in MAAS's own dialect: clients read its status and body. */
export class MaasRefusal extends Error {
  readonly status: number;
  /** An object is sent as JSON, a text as `text/plain`. */
  readonly body: string | Readonly<Record<string, readonly string[]>>;
  /** Seconds after which a repetition may succeed; null = a repetition is of no use. */
  readonly retryAfter: number | null;

  constructor(status: number, body: MaasRefusal['body'], retryAfter: number | null = null) {
    super(typeof body === 'string' ? body : JSON.stringify(body));
    this.status = status;
    this.body = body;
    this.retryAfter = retryAfter;
  }
}

/** 400 about one field, as Django's forms tell it. */
export function invalidField(field: string, ...messages: readonly string[]): MaasRefusal {
  return new MaasRefusal(400, { [field]: messages });
}

/** 404 as Django tells it: `No Machine matches the given query.` */
export function notFound(what: string): MaasRefusal {
  return new MaasRefusal(404, `No ${what} matches the given query.`);
}
