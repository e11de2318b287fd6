import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createAuthority } from '../../lab/management-server/certificate.ts';
import { startCsbm } from '../cli/run-csbm.ts';
import { until } from '../support/until.ts';

interface Urls {
  readonly adminUrl: string;
  readonly bootUrl: string;
  readonly directUrl: string;
  readonly maasUrl: string;
}

/** The real service as a process of its own, all its listeners open, the admin API's under TLS; limits that a test can wait for. */
export class ServiceProcess {
  readonly #folder = mkdtempSync(join(tmpdir(), 'csbm-net-'));
  readonly ca: string;
  #child: ChildProcess | null = null;
  #urls: Urls | null = null;
  #said = '';

  constructor(limits: string) {
    const authority = createAuthority('csbm test CA');
    const { pem, keyPem } = authority.issue('csbm', ['127.0.0.1']);
    this.ca = authority.pem;
    writeFileSync(join(this.#folder, 'server.pem'), pem);
    writeFileSync(join(this.#folder, 'server.key'), keyPem);
    writeFileSync(join(this.#folder, 'direct.token'), directToken);
    writeFileSync(
      join(this.#folder, 'csbm.yaml'),
      [
        'stateDir: ./state',
        'http: {port: 0, tls: {certFile: server.pem, keyFile: server.key}}',
        'boot: {port: 0}',
        'maas: {enabled: true, port: 0}',
        'cloudstack: {direct: {enabled: true, port: 0, token: "file:./direct.token"}}',
        `limits: ${limits}`,
        '',
      ].join('\n'),
    );
  }

  async start(): Promise<void> {
    const child = (this.#child = startCsbm(['serve', '--json'], { cwd: this.#folder }));
    for (const stream of [child.stdout!, child.stderr!])
      stream.on('data', (chunk: Buffer) => (this.#said += chunk.toString()));
    await until(
      () => {
        if (child.exitCode !== null) throw new Error(this.#said);
        const line = this.#said.split('\n').find((one) => one.includes('"msg":"csbm is up"'));
        if (line !== undefined) this.#urls = JSON.parse(line) as Urls;
        return this.#urls !== null;
      },
      'the service to be up',
      110_000,
    );
  }

  get urls(): Urls {
    if (!this.#urls) throw new Error('the service is not up');
    return this.#urls;
  }

  get token(): string {
    return readFileSync(join(this.#folder, 'state', 'admin.token'), 'utf8').trim();
  }

  /** Resident memory in bytes, as the kernel counts it. */
  get rss(): number {
    const status = readFileSync(`/proc/${this.#child!.pid}/status`, 'utf8');
    return Number(/VmRSS:\s+(\d+) kB/.exec(status)![1]) * 1024;
  }

  async stop(): Promise<void> {
    const child = this.#child;
    if (child && child.exitCode === null) {
      const gone = once(child, 'close');
      child.kill('SIGKILL');
      await gone;
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

export const directToken = 'a-token-of-the-direct-door';
