import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { milliseconds, type DeployEngine } from '../../../plugin-api/index.ts';
import { bootApp } from '../../../src/api/boot/boot-app.ts';
import type { FileSender } from '../../../src/api/boot/file-sender.ts';
import { createWebServer, type WebServerOptions } from '../../../src/kernel/net/web-server.ts';
import { createNativeEngine } from '../../../src/drivers/deploy/native/native-engine.ts';
import { SystemClock } from '../../../src/kernel/clock/system-clock.ts';
import { createLog } from '../../../src/kernel/log/log.ts';
import { BootConversationService } from '../../../src/operations/boot/boot-conversations.ts';
import { ImageLibrary } from '../../../src/operations/images/image-library.ts';
import type { SqlStorage } from '../../../src/store/open-storage.ts';

export interface BootFloorOptions {
  readonly storage: SqlStorage;
  /** Holds `images` and `ramdisk`. */
  readonly folder: string;
  /** Default: any free one. */
  readonly port?: number;
  readonly limits?: WebServerOptions;
  /** The address by which machines reach the loopback; default: 127.0.0.1. */
  readonly publicHost?: string;
  /** Default: none, Node sends the files. The floor closes it. */
  readonly sender?: FileSender | null;
}

/** The boot service as the service proper composes it, on a loopback port. */
export interface BootFloor {
  readonly boots: BootConversationService;
  readonly images: ImageLibrary;
  readonly engine: DeployEngine;
  readonly base: string;
  readonly port: number;
  /** All that was logged so far, at level debug. */
  logged(): string;
  close(): Promise<void>;
}

export async function startBootFloor(options: BootFloorOptions): Promise<BootFloor> {
  const { storage, folder } = options;
  const lines: string[] = [];
  const log = createLog({
    level: 'debug',
    destination: new Writable({
      write: (chunk: Buffer, _encoding, done) => {
        lines.push(chunk.toString());
        done();
      },
    }),
  });
  const clock = new SystemClock();
  const boots = new BootConversationService({
    storage,
    clock,
    log,
    newcomers: { site: 'lab', pool: 'default' },
  });
  const images = new ImageLibrary({
    storage,
    folder: join(folder, 'images'),
    clock,
    log,
    orphanAge: milliseconds(0),
  });
  await images.start();
  // The app needs to know the port that it is reached by, so it comes after listening.
  let app: http.RequestListener | null = null;
  const server = createWebServer((req, res) => app!(req, res), options.limits);
  server.listen(options.port ?? 0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const base = `http://127.0.0.1:${port}`;
  app = bootApp({
    conversations: boots,
    images,
    ramdiskDir: join(folder, 'ramdisk'),
    publicUrl: `http://${options.publicHost ?? '127.0.0.1'}:${port}/`,
    kernelArguments: 'console=ttyS0,115200',
    sender: options.sender ?? null,
    log,
  });
  return {
    boots,
    images,
    engine: createNativeEngine(
      {
        clock,
        log: (level, message, fields) => log[level](fields ?? {}, message),
        conversations: boots,
        imageCatalogue: images,
      },
      undefined,
    ),
    base,
    port,
    logged: () => lines.join(''),
    close: async () => {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
      await options.sender?.close();
    },
  };
}

/** A folder with a ramdisk in it. */
export function bootFolder(): { readonly folder: string; remove(): void } {
  const folder = mkdtempSync(join(tmpdir(), 'csbm-boot-'));
  mkdirSync(join(folder, 'ramdisk'));
  writeFileSync(join(folder, 'ramdisk', 'vmlinuz'), 'kernel '.repeat(100));
  writeFileSync(join(folder, 'ramdisk', 'initrd'), 'initrd '.repeat(1000));
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

export async function* inOnePiece(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

export interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: Buffer;
}

export interface Call {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
}

/** One request as it is, on a connection of its own: no path is tidied up on the way, unlike with fetch. */
export async function request(base: string, path: string, call: Call = {}): Promise<Answer> {
  const { hostname, port } = new URL(base);
  const sent = http.request({
    hostname,
    port,
    path,
    method: call.method ?? 'GET',
    headers: { ...call.headers },
    agent: false,
  });
  sent.on('error', () => undefined);
  sent.end(call.body);
  const [answer] = (await once(sent, 'response')) as [http.IncomingMessage];
  const chunks: Buffer[] = [];
  for await (const chunk of answer) chunks.push(chunk as Buffer);
  return { status: answer.statusCode ?? 0, headers: answer.headers, body: Buffer.concat(chunks) };
}
