import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';

/** What the next machine that asks is given. */
export type TinyDecision = 'agent' | 'sanboot' | 'exit' | 'poweroff' | 'reboot';

export interface TinyImage {
  readonly stored: Buffer;
  readonly rawBytes: number;
  readonly encoding: 'raw' | 'gzip' | 'zstd';
}

/** The boot service's side of docs/boot-protocol.md, as small as it can be. */
export class TinyBootService {
  decision: TinyDecision = 'agent';
  /** Extra words for the kernel line; replaces `initrd=initrd` when set. */
  kernelWords = 'initrd=initrd';
  order: Record<string, unknown> = { id: 'op-1', phase: 'commission' };
  image: TinyImage | null = null;
  firstBoot: Record<string, string> = {};
  /** Answers this status instead, as long as it says so. */
  fault: (path: string, seen: number) => number | null = () => null;
  /** Cuts the connection after so many bytes of the image, once for each number. */
  cutAfter: number[] = [];
  /** Sends the image no further than this until it is raised. */
  holdAt = Number.POSITIVE_INFINITY;
  readonly requests: string[] = [];
  readonly ranges: (string | undefined)[] = [];
  readonly progress: { readonly activity: string; readonly percent: number | null }[] = [];
  readonly results: Record<string, unknown>[] = [];
  contested = false;
  readonly #server = http.createServer((req, res) => void this.#answer(req, res));
  readonly #sockets = new Set<Socket>();
  #token: string | null = null;

  async start(port = 0): Promise<void> {
    this.#server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
      socket.on('error', () => undefined);
    });
    this.#server.listen(port, '127.0.0.1');
    await once(this.#server, 'listening');
  }

  async stop(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  get address(): { readonly host: string; readonly port: number } {
    return { host: '127.0.0.1', port: (this.#server.address() as AddressInfo).port };
  }

  get base(): string {
    return `http://127.0.0.1:${this.address.port}`;
  }

  get openConnections(): number {
    return this.#sockets.size;
  }

  /** A new order, with a new token for its first asker. */
  give(order: Record<string, unknown>): void {
    this.order = order;
    this.decision = 'agent';
    this.#token = null;
    this.contested = false;
  }

  giveImage(
    image: TinyImage,
    rootDisk: object,
    firstBoot: Record<string, string> | null,
    label = 'cidata',
  ): void {
    this.image = image;
    this.firstBoot = firstBoot ?? {};
    this.give({
      id: 'op-2',
      phase: 'deploy',
      image: {
        url: `${this.base}/boot/v1/agent/image`,
        encoding: image.encoding,
        sha256: createHash('sha256').update(image.stored).digest('hex'),
        storedBytes: image.stored.length,
        rawBytes: image.rawBytes,
      },
      rootDisk,
      firstBoot: firstBoot && {
        label,
        files: Object.keys(firstBoot).map((name) => ({
          name,
          url: `${this.base}/boot/v1/agent/first-boot/${name}`,
        })),
      },
    });
  }

  async #answer(req: http.IncomingMessage, res: http.ServerResponse): Promise<void> {
    const url = new URL(req.url!, this.base);
    const path = url.pathname;
    this.requests.push(`${req.method!} ${path}`);
    const seen = this.requests.filter((r) => r.endsWith(` ${path}`)).length;
    const fault = this.fault(path, seen);
    if (fault !== null) return void res.writeHead(fault).end('fault');
    if (path === '/boot.ipxe') {
      const query = 'mac=${netX/mac:hexhyp}&platform=${platform}&uuid=${uuid}&serial=${serial:uristring}';
      return void res.end(
        `#!ipxe\n:ask\nchain --replace ${this.base}/boot/v1/script?${query} ||\nsleep 1\ngoto ask\n`,
      );
    }
    if (path === '/boot/v1/script')
      return void res.end(`#!ipxe\n${this.#script(url.searchParams.get('mac')!)}\n`);
    if (path.startsWith('/boot/v1/ramdisk/')) return void res.end('ramdisk');
    if (req.headers.authorization !== `Bearer ${this.#token!}` || this.contested)
      return void res.writeHead(401).end();
    const call = path.replace('/boot/v1/agent/', '');
    const json = (value: unknown): void => void res.end(JSON.stringify(value));
    if (call === 'order') {
      json(this.order);
      return;
    }
    if (call === 'progress') {
      this.progress.push(JSON.parse(await text(req)) as { activity: string; percent: number });
      json({});
      return;
    }
    if (call === 'result') {
      this.results.push(JSON.parse(await text(req)) as Record<string, unknown>);
      json({ then: 'power-off' });
      return;
    }
    if (call === 'image') return this.#sendImage(req, res);
    const file = this.firstBoot[call.replace('first-boot/', '')];
    if (file === undefined) res.writeHead(404);
    res.end(file);
  }

  #script(mac: string): string {
    if (this.decision !== 'agent')
      return this.decision === 'sanboot' ? 'sanboot --no-describe --drive 0x80' : this.decision;
    if (this.#token !== null) {
      this.contested = true;
      return 'poweroff';
    }
    this.#token = randomBytes(8).toString('hex');
    const words = `${this.kernelWords} csbm.url=${this.base} csbm.token=${this.#token} csbm.mac=${mac}`;
    return `kernel ${this.base}/boot/v1/ramdisk/vmlinuz ${words}\ninitrd --name initrd ${this.base}/boot/v1/ramdisk/initrd\nboot`;
  }

  async #sendImage(req: http.IncomingMessage, res: http.ServerResponse): Promise<void> {
    const { stored } = this.image!;
    this.ranges.push(req.headers.range);
    const from = Number(/^bytes=(\d+)-$/.exec(req.headers.range ?? '')?.[1] ?? 0);
    res.writeHead(req.headers.range === undefined ? 200 : 206, {
      'content-length': stored.length - from,
      // A 206 without it is none (RFC 9110 section 15.3.7), and curl does not continue with one.
      ...(req.headers.range !== undefined && {
        'content-range': `bytes ${from}-${stored.length - 1}/${stored.length}`,
      }),
    });
    // A cut transfer ends in an error of the pipeline, which is what was wanted.
    await pipeline(Readable.from(this.#pieces(stored, from, res), { highWaterMark: 1 }), res).catch(
      () => undefined,
    );
  }

  async *#pieces(stored: Buffer, from: number, res: http.ServerResponse): AsyncGenerator<Buffer> {
    const cut = this.cutAfter.shift() ?? Number.POSITIVE_INFINITY;
    const piece = 32 * 1024;
    for (let at = from; at < stored.length; at += piece) {
      while (at >= this.holdAt && !res.destroyed) await new Promise((resolve) => setTimeout(resolve, 2));
      if (at >= cut) throw new Error('cut');
      yield stored.subarray(at, at + piece);
    }
  }
}
