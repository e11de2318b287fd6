import type http from 'node:http';
import { milliseconds, type Clock } from '../../plugin-api/index.ts';
import type { Behaviours } from './behaviour.ts';
import { eraseDisk, quickBytes, type ErasedDisk, type Grade } from './erase-disk.ts';
import { firstBootBytes, writeFirstBoot } from './first-boot.ts';
import { httpCall, openCall, type HttpAnswer, type HttpPath } from './http-call.ts';
import { ImageWriter, knownEncodings, type ImageEncoding } from './image-writer.ts';
import type { LabDisk } from './lab-disk.ts';
import type { LabNic } from './lab-nic.ts';
import type { MachineTiming } from './timing.ts';

/** What the ramdisk sees of the machine it runs on. */
export interface AgentHost {
  readonly machine: MachineFacts;
  readonly nics: readonly LabNic[];
  /** Disks that the ramdisk's kernel sees. */
  disks(): readonly LabDisk[];
  readonly clock: Clock;
  readonly timing: MachineTiming;
  readonly behaviours: Behaviours;
  readonly log: (text: string) => void;
  /** Never returns: the agent stops answering, the power stays on. */
  hang(): Promise<never>;
  /** Power is gone from one moment to the next. */
  losePower(): Promise<never>;
  /** Called before the first byte of an image is written. */
  installing(disk: LabDisk): void;
  /** Called when a disk was erased to the end, with the grade that was ordered. */
  erased(disk: LabDisk, grade: Grade): void;
  /** Waits like `clock.sleep`, scaled by what the machine suffers from. */
  pause(time: number): Promise<void>;
}

export interface MachineFacts {
  readonly cpus: number;
  readonly memoryBytes: number;
  readonly product: string;
  readonly serial: string;
  readonly firmware: 'legacy' | 'efi';
}

interface DiskRef {
  readonly name: string;
  readonly serial: string;
  readonly bytes: number;
}

type Order =
  | { readonly id: string; readonly phase: 'commission' }
  | {
      readonly id: string;
      readonly phase: 'deploy';
      readonly image: {
        readonly url: string;
        readonly encoding: ImageEncoding;
        readonly sha256: string;
        readonly storedBytes: number;
        readonly rawBytes: number;
      };
      readonly rootDisk: DiskRef;
      readonly firstBoot: {
        readonly label: string;
        readonly files: readonly { readonly name: string; readonly url: string }[];
      } | null;
    }
  | {
      readonly id: string;
      readonly phase: 'erase';
      readonly grade: Grade;
      readonly disks: readonly DiskRef[];
    };

/** A failure that the agent reports in its result (boot protocol, section 4). */
class OrderFailure extends Error {
  readonly code: string;

  constructor(code: string, said: string) {
    super(said);
    this.code = code;
  }
}

/** The service answered 4xx: the call is not repeated, and there is nothing left to do. */
class Refused extends Error {}

/**
 * The ramdisk's agent, as docs/boot-protocol.md has it: asks for its order, does it for real on the machine's disks,
 * reports, and says how it ended. It knows the service only by the kernel arguments.
 */
export class RamdiskAgent {
  readonly #host: AgentHost;
  readonly #path: HttpPath;
  readonly #base: string;
  readonly #authorization: string;
  readonly #signal: AbortSignal;
  readonly #withdrawn = new AbortController();
  #reporting: Promise<void> | null = null;
  #lastReport = Number.NEGATIVE_INFINITY;

  /** @param base value of `csbm.url`; @param token value of `csbm.token`. */
  constructor(host: AgentHost, path: HttpPath, base: string, token: string, signal: AbortSignal) {
    this.#host = host;
    this.#path = path;
    this.#base = `${base.replace(/\/$/, '')}/boot/v1/agent`;
    this.#authorization = `Bearer ${token}`;
    this.#signal = AbortSignal.any([signal, this.#withdrawn.signal]);
  }

  /** Does the order. Resolves when the machine is to be powered off; rejects only with the signal's reason. */
  async run(signal: AbortSignal): Promise<void> {
    try {
      const order = await this.#json<Order>('GET', 'order');
      if (this.#host.behaviours.strike('hangs', (b) => b.at === 'agent')) await this.#host.hang();
      const result = await this.#result(order);
      await this.#reporting;
      await this.#json('POST', 'result', result);
    } catch (error) {
      signal.throwIfAborted();
      this.#host.log(`agent: ${(error as Error).message}`);
    } finally {
      await this.#reporting;
    }
  }

  async #result(order: Order): Promise<object> {
    try {
      const failure = this.#host.behaviours.strike('agent-fails');
      if (failure) throw new OrderFailure(failure.code, failure.said);
      if (order.phase === 'commission') return { ok: true, inventory: this.#inventory() };
      if (order.phase === 'deploy') return { ok: true, deploy: await this.#deploy(order) };
      return { ok: true, erase: { disks: await this.#erase(order) } };
    } catch (error) {
      if (error instanceof OrderFailure) {
        this.#host.log(`agent: ${error.code}: ${error.message}`);
        return { ok: false, error: { code: error.code, said: error.message } };
      }
      throw error;
    }
  }

  #inventory(): object {
    const { machine, nics } = this.#host;
    return {
      cpus: machine.cpus,
      memoryBytes: machine.memoryBytes,
      architecture: 'x86_64',
      firmware: machine.firmware,
      product: machine.product,
      serial: machine.serial,
      nics: nics.map((nic) => ({
        name: nic.label,
        mac: nic.mac,
        linkUp: nic.carrier(),
        speedMbps: nic.carrier() ? 10_000 : null,
        neighbour: null,
      })),
      disks: this.#host.disks().map((disk) => ({
        name: disk.name,
        model: disk.model,
        serial: disk.serial,
        bytes: disk.bytes,
        rotational: disk.rotational,
        removable: disk.removable,
        readOnly: disk.readOnly,
      })),
    };
  }

  async #deploy(order: Extract<Order, { phase: 'deploy' }>): Promise<object> {
    const started = this.#host.clock.monotonic();
    const { image, firstBoot } = order;
    const disk = this.#find(order.rootDisk);
    const needed = image.rawBytes + (firstBoot ? firstBootBytes : 0);
    if (!disk || disk.readOnly || disk.bytes < needed)
      throw new OrderFailure(
        'no-disk',
        `no writable disk ${name(order.rootDisk)} of at least ${needed} bytes`,
      );
    if (!knownEncodings.includes(image.encoding))
      throw new OrderFailure('agent', `this ramdisk cannot unpack ${image.encoding}`);
    this.#host.installing(disk);
    // What the last owner left at both ends must not be taken for ours if this install is cut.
    disk.zero(0, quickBytes(disk));
    disk.zero(disk.bytes - quickBytes(disk), quickBytes(disk));
    const writer = new ImageWriter(disk, image.encoding);
    let sha256: string;
    try {
      await this.#stream(order, disk, writer);
      sha256 = await writer.finish();
    } finally {
      writer.discard();
    }
    // A disk that holds something else than the image must not boot.
    if (sha256 !== image.sha256) {
      disk.zero(0, quickBytes(disk));
      throw new OrderFailure('checksum', `expected ${image.sha256}, got ${sha256}`);
    }
    if (writer.failure || writer.written !== image.rawBytes) {
      disk.zero(0, quickBytes(disk));
      const said = writer.failure?.message ?? 'the image has another size than announced';
      throw new OrderFailure('write', `${writer.written} of ${image.rawBytes} bytes written: ${said}`);
    }
    if (firstBoot) await this.#writeFirstBoot(disk, firstBoot);
    return {
      disk: disk.name,
      serial: disk.serial,
      sha256,
      rawBytes: writer.written,
      seconds: Math.round((this.#host.clock.monotonic() - started) / 1_000),
    };
  }

  async #writeFirstBoot(
    disk: LabDisk,
    firstBoot: NonNullable<Extract<Order, { phase: 'deploy' }>['firstBoot']>,
  ): Promise<void> {
    const files: Record<string, string> = {};
    for (const file of firstBoot.files) files[file.name] = (await this.#get(file.url)).toString('utf8');
    try {
      writeFirstBoot(disk, { label: firstBoot.label, files });
    } catch (error) {
      throw new OrderFailure('write', (error as Error).message);
    }
  }

  /** Streams the image; a broken transfer goes on by Range from the byte it has, into the same unpacker. */
  async #stream(
    order: Extract<Order, { phase: 'deploy' }>,
    disk: LabDisk,
    writer: ImageWriter,
  ): Promise<void> {
    const { image } = order;
    const dies = this.#host.behaviours.find('dies-mid-image');
    let corrupt = this.#host.behaviours.strike('corrupts-image') !== null;
    while (writer.stored < image.storedBytes) {
      const answer = await this.#persist(() => this.#openImage(image.url, writer.stored));
      try {
        for await (const piece of answer) {
          const chunk = piece as Buffer;
          if (corrupt) chunk[chunk.length >> 1]! ^= 0xff;
          corrupt = false;
          await writer.take(chunk);
          const percent = Math.floor((100 * writer.stored) / image.storedBytes);
          if (dies && percent >= dies.percent && this.#host.behaviours.strike('dies-mid-image'))
            await this.#host.losePower();
          if (percent >= 50 && this.#host.behaviours.strike('hangs', (b) => b.at === 'image'))
            await this.#host.hang();
          this.#progress(`writing the image to ${disk.name}`, Math.min(100, percent));
          await this.#atSpeed(chunk.length);
        }
      } catch (error) {
        this.#signal.throwIfAborted();
        if (!isNetworkError(error)) throw error;
        this.#host.log(`agent: image broken off at ${writer.stored}: ${(error as Error).message}`);
        await this.#host.pause(this.#host.timing.retryPause);
      }
    }
  }

  async #openImage(url: string, from: number): Promise<http.IncomingMessage> {
    const headers = { authorization: this.#authorization, ...(from > 0 ? { range: `bytes=${from}-` } : {}) };
    const answer = await openCall(this.#path, { method: 'GET', url, headers }, this.#signal);
    const status = answer.statusCode ?? 0;
    if (status !== (from > 0 ? 206 : 200)) {
      answer.destroy();
      if (status >= 500) throw new Error(`HTTP ${status}`);
      throw new OrderFailure('fetch', `HTTP ${status} for the image from byte ${from}`);
    }
    return answer;
  }

  async #erase(order: Extract<Order, { phase: 'erase' }>): Promise<readonly ErasedDisk[]> {
    const missing = order.disks.filter((wanted) => !this.#find(wanted));
    if (missing.length > 0)
      throw new OrderFailure('disk-missing', `not there: ${missing.map(name).join(', ')}`);
    const erased: ErasedDisk[] = [];
    for (const disk of this.#host.disks().filter((d) => !d.readOnly)) {
      const started = this.#host.clock.monotonic();
      const skips = this.#host.behaviours.strike('erase-skips', (b) => b.disk === disk.name) !== null;
      const report = await eraseDisk(
        disk,
        order.grade,
        async (done, bytes) => {
          if (done >= 0.5 && this.#host.behaviours.strike('hangs', (b) => b.at === 'erase'))
            await this.#host.hang();
          this.#progress(`erasing ${disk.name}`, Math.floor(done * 100));
          await this.#atSpeed(bytes);
        },
        skips,
      );
      if (!skips) this.#host.erased(disk, order.grade);
      erased.push({ ...report, seconds: Math.round((this.#host.clock.monotonic() - started) / 1_000) });
    }
    return erased;
  }

  /** By serial, or by name where the disk has none (boot protocol, section 3). */
  #find(wanted: DiskRef): LabDisk | undefined {
    return this.#host
      .disks()
      .find((disk) =>
        wanted.serial === ''
          ? disk.serial === '' && disk.name === wanted.name
          : disk.serial === wanted.serial,
      );
  }

  async #get(url: string): Promise<Buffer> {
    const headers = { authorization: this.#authorization };
    const answer = await this.#persist(() =>
      this.#ok(httpCall(this.#path, { method: 'GET', url, headers }, this.#signal)),
    );
    return answer.body;
  }

  async #json<T>(method: 'GET' | 'POST', call: string, body?: object): Promise<T> {
    const answer = await this.#persist(() => this.#ok(this.#call(method, call, body)));
    return JSON.parse(answer.body.toString('utf8')) as T;
  }

  #call(method: 'GET' | 'POST', call: string, body?: object): Promise<HttpAnswer> {
    const json = body === undefined ? {} : { body: JSON.stringify(body) };
    const headers = {
      authorization: this.#authorization,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    };
    return httpCall(this.#path, { method, url: `${this.#base}/${call}`, headers, ...json }, this.#signal);
  }

  async #ok(call: Promise<HttpAnswer>): Promise<HttpAnswer> {
    const answer = await call;
    if (answer.status >= 400 && answer.status < 500)
      throw new Refused(
        `the service answered ${answer.status}: ${answer.body.toString('utf8').slice(0, 200)}`,
      );
    if (answer.status !== 200) throw new Error(`HTTP ${answer.status}`);
    return answer;
  }

  /** Repeats a call that got no answer or a 5xx, for as long as the protocol says; never one that was refused. */
  async #persist<T>(attempt: () => Promise<T>): Promise<T> {
    const until = this.#host.clock.monotonic() + this.#host.timing.retryFor;
    for (;;) {
      try {
        return await attempt();
      } catch (error) {
        this.#signal.throwIfAborted();
        if (error instanceof Refused || error instanceof OrderFailure) throw error;
        if (this.#host.clock.monotonic() >= until) throw error;
        this.#host.log(`agent: ${(error as Error).message}; trying again`);
        await this.#host.pause(this.#host.timing.retryPause);
      }
    }
  }

  /** Sends progress beside the work: at most one call at a time, none repeated. A refusal ends the order. */
  #progress(activity: string, percent: number): void {
    const now = this.#host.clock.monotonic();
    if (this.#reporting || now - this.#lastReport < this.#host.timing.progress) return;
    this.#lastReport = now;
    this.#reporting = this.#ok(this.#call('POST', 'progress', { activity, percent }))
      .then(
        () => undefined,
        (error: unknown) => {
          if (error instanceof Refused) this.#withdrawn.abort(error);
        },
      )
      .finally(() => (this.#reporting = null));
  }

  async #atSpeed(bytes: number): Promise<void> {
    const { bytesPerSecond } = this.#host.timing;
    if (bytesPerSecond !== null) await this.#host.pause(milliseconds((bytes / bytesPerSecond) * 1_000));
    else this.#signal.throwIfAborted();
  }
}

function name(disk: DiskRef): string {
  return disk.serial === '' ? disk.name : `${disk.name} (serial ${disk.serial})`;
}

function isNetworkError(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException).code;
  return code !== undefined && /^(E[A-Z]+|ERR_STREAM_PREMATURE_CLOSE)$/.test(code);
}
