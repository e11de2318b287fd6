import assert from 'node:assert/strict';
import type http from 'node:http';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import { milliseconds } from '../../plugin-api/index.ts';
import { close, createWebServer } from '../../src/kernel/net/web-server.ts';
import type { FuzzTarget } from './fuzz-target.ts';
import { rawExchange } from './raw-exchange.ts';

export interface HttpFuzzTarget extends FuzzTarget {
  open(): Promise<void>;
  close(): Promise<void>;
}

/** A door behind the server that it has in life. Whatever comes, it is served or refused: an answer of 500 is a crash. */
export function httpTarget(target: Omit<FuzzTarget, 'run'>, app: () => http.RequestListener): HttpFuzzTarget {
  let server: ReturnType<typeof createWebServer> | null = null;
  return {
    ...target,
    async open() {
      server = createWebServer(app(), {
        headersTimeout: milliseconds(1_000),
        requestTimeout: milliseconds(1_000),
        lingering: milliseconds(100),
      });
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
    },
    async close() {
      if (server) await close(server);
      server = null;
    },
    async run(input) {
      const { port } = server!.address() as AddressInfo;
      const answer = await rawExchange(port, input);
      assert.doesNotMatch(answer, /^HTTP\/1\.1 5(?!03)/m);
    },
  };
}
