type Json = Readonly<Record<string, unknown>>;

/** The little of the admin API that a stage and the demo need. */
export class AdminClient {
  readonly #url: string;
  readonly #token: string;

  constructor(url: string, token: string) {
    this.#url = url;
    this.#token = token;
  }

  /** @throws Error with the service's own words when it refuses. */
  async call(method: string, route: string, body?: Json | string): Promise<Json> {
    const json = typeof body === 'object';
    return this.#send(
      method,
      route,
      json ? JSON.stringify(body) : body,
      json ? 'application/json' : 'text/plain',
    );
  }

  upload(route: string, bytes: Uint8Array<ArrayBuffer>): Promise<Json> {
    return this.#send('POST', route, bytes, 'application/octet-stream');
  }

  /** Asks for an operation and waits for its end. @throws Error when it does not end well. */
  async operation(
    method: string,
    route: string,
    body: Json = {},
    onStep?: (step: Json) => void,
  ): Promise<Json> {
    const { operation } = await this.call(method, route, body);
    if (!operation) return {};
    const ended = await this.follow(String((operation as Json)['id']), onStep);
    if (ended['state'] === 'done') return ended;
    throw new Error(
      `operation ${String(ended['id'])} ended ${String(ended['state'])}: ${JSON.stringify(ended['error'])} ${JSON.stringify(ended['undoError'])}`,
    );
  }

  /** Follows an operation to its end, whatever that is, and gives its last record. */
  async follow(id: string, onStep?: (step: Json) => void): Promise<Json> {
    const response = await fetch(`${this.#url}/api/v1/operations/${id}/follow`, { headers: this.#headers() });
    let last: Json = {};
    let rest = '';
    for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + chunk).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines.filter((text) => text !== '')) {
        const event = JSON.parse(line) as { readonly step?: Json; readonly operation?: Json };
        if (event.step) onStep?.(event.step);
        if (event.operation) last = event.operation;
      }
    }
    return last;
  }

  async #send(
    method: string,
    route: string,
    body: string | Uint8Array<ArrayBuffer> | undefined,
    type: string,
  ): Promise<Json> {
    const response = await fetch(`${this.#url}/api/v1${route}`, {
      method,
      headers: { ...this.#headers(), ...(body !== undefined && { 'content-type': type }) },
      ...(body !== undefined && { body }),
    });
    const text = await response.text();
    const parsed = text === '' ? {} : (JSON.parse(text) as Json);
    if (!response.ok) {
      const { error } = parsed as { readonly error?: { readonly message?: string } };
      throw new Error(error?.message ?? `${method} ${route}: ${response.status}`);
    }
    return parsed;
  }

  #headers(): Record<string, string> {
    return { authorization: `Bearer ${this.#token}` };
  }
}
