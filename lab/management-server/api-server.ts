import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import type { Authority } from './certificate.ts';

/** An instance as the lab's CloudStack has it. */
export interface LabInstance {
  readonly id: string;
  readonly name: string;
  /** `Expunged` = its row is marked as removed: it is not listed, but its UUID is still known. */
  state: string;
}

/** Faults and oddities; all may be changed while it runs. */
export interface ApiBehaviours {
  /** Account type of the keys: 1 = root administrator, 2 = domain administrator, 0 = user. */
  accountType: number;
  /** Every command answers with this HTTP status and text instead. */
  instead: { readonly status: number; readonly text: string } | null;
  /** Pages tell this many instances more than there are. */
  countTooMuch: number;
  /** From the second page on, the first instances come again. */
  repeatFirstPage: boolean;
  /** An UUID that nobody ever had is answered with an empty list, like one that is removed. */
  emptyForUnknown: boolean;
  /** Instances are listed without `instancename`, as to users. */
  hideInstanceNames: boolean;
  /** How often a job is asked for before it ends. */
  jobLooks: number;
  /** Jobs end with this error. */
  jobError: { readonly errorcode: number; readonly errortext: string } | null;
  /** Requests are never answered. */
  silent: boolean;
}

export interface LabApiServerOptions {
  readonly apiKey: string;
  readonly secretKey: string;
  /** Signs what issueCertificate is asked for. */
  readonly authority: Authority;
  /** Serve HTTPS with this certificate and key, both PEM. */
  readonly tls?: { readonly cert: string; readonly key: string };
  /** Addresses that go into issued certificates besides those of the request. */
  readonly issueFor?: readonly string[];
}

/** CloudStack's longest list (`default.page.size`). */
const maxPageSize = 500;
/** What timestamps may lie ahead (`enforce.post.requests.and.timestamps`). */
const longestLife = 15 * 60_000;

/**
 * CloudStack's HTTP API as far as a bare-metal service asks it, on a real socket. It verifies signatures by its own code, and takes
 * what a server does that enforces POST and timestamps.
 */
export class LabApiServer {
  readonly behaviours: ApiBehaviours = {
    accountType: 1,
    instead: null,
    countTooMuch: 0,
    repeatFirstPage: false,
    emptyForUnknown: false,
    hideInstanceNames: false,
    jobLooks: 1,
    jobError: null,
    silent: false,
  };
  readonly instances: LabInstance[] = [];
  /** Commands in the order in which they came, with their parameters but for keys and signature. */
  readonly requests: { readonly command: string; readonly parameters: ReadonlyMap<string, string> }[] = [];
  /** Request lines as an access log would have them. */
  readonly accessLog: string[] = [];
  readonly #options: LabApiServerOptions;
  readonly #server: Server;
  readonly #jobs = new Map<string, { looks: number; readonly result: () => object }>();

  constructor(options: LabApiServerOptions) {
    this.#options = options;
    const serve = (request: IncomingMessage, response: ServerResponse): void => {
      this.#serve(request, response).catch(() => response.destroy());
    };
    this.#server = options.tls ? createTlsServer(options.tls, serve) : createServer(serve);
  }

  get url(): string {
    const { port } = this.#server.address() as AddressInfo;
    return `${this.#options.tls ? 'https' : 'http'}://127.0.0.1:${port}/client/api`;
  }

  /** How often a command came. */
  asked(command: string): number {
    return this.requests.filter((request) => request.command === command).length;
  }

  async start(): Promise<void> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
  }

  async stop(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.accessLog.push(`${request.method} ${request.url}`);
    const body = await text(request);
    const { instead, silent } = this.behaviours;
    if (silent) return;
    if (instead) {
      response.writeHead(instead.status).end(instead.text);
      return;
    }
    const parameters = new Map(
      body.split('&').map((pair): [string, string] => {
        const [name = '', value = ''] = pair.split('=');
        return [decode(name), decode(value)];
      }),
    );
    const command = parameters.get('command') ?? '';
    const send = (status: number, value: object): void => {
      response.writeHead(status, { 'content-type': 'application/json;charset=UTF-8' });
      response.end(JSON.stringify({ [`${command.toLowerCase()}response`]: value }));
    };
    if (request.method !== 'POST' || !this.#verified(parameters)) {
      const errortext = 'unable to verify user credentials and/or request signature';
      send(401, { uuidList: [], errorcode: 401, errortext });
      return;
    }
    const own = new Set(['command', 'response', 'apikey', 'signature', 'signatureversion', 'expires']);
    const rest = new Map([...parameters].filter(([name]) => !own.has(name)));
    this.requests.push({ command, parameters: rest });
    try {
      send(200, this.#answer(command, rest));
    } catch (thrown) {
      if (!(thrown instanceof LabApiError)) throw thrown;
      const { errorcode, message } = thrown;
      send(errorcode, { uuidList: [], errorcode, cserrorcode: 4350, errortext: message });
    }
  }

  /** After `ApiServer.verifyRequest`: names in their order, values encoded anew, everything in lower case. */
  #verified(parameters: ReadonlyMap<string, string>): boolean {
    const { apiKey, secretKey } = this.#options;
    const unsigned: string[] = [];
    for (const name of Array.from(parameters.keys()).sort()) {
      if (name.toLowerCase() === 'signature') continue;
      unsigned.push(`${name}=${encode(parameters.get(name)!)}`);
    }
    const mac = createHmac('sha1', secretKey).update(unsigned.join('&').toLowerCase(), 'utf8');
    const expires = Date.parse((parameters.get('expires') ?? '').replace(/\+0000$/, 'Z'));
    return (
      parameters.get('apikey') === apiKey &&
      parameters.get('signatureversion') === '3' &&
      expires > Date.now() &&
      expires <= Date.now() + longestLife &&
      parameters.get('signature') === mac.digest('base64')
    );
  }

  #answer(command: string, parameters: ReadonlyMap<string, string>): object {
    switch (command) {
      case 'getUser':
        return {
          user: { id: 'u-1', accounttype: this.behaviours.accountType, secretkey: this.#options.secretKey },
        };
      case 'listCapabilities':
        return { capability: { cloudstackversion: '4.20.1.0', securitygroupsenabled: false } };
      case 'listVirtualMachines':
        return this.#list(parameters);
      case 'listCaCertificate':
        return { cacertificates: { certificate: this.#options.authority.pem } };
      case 'issueCertificate':
        return this.#issue(parameters);
      case 'queryAsyncJobResult':
        return this.#job(parameters.get('jobid') ?? '');
      default:
        throw new LabApiError(
          401,
          `The given command '${command}' either does not exist, is not available for user.`,
        );
    }
  }

  #list(parameters: ReadonlyMap<string, string>): object {
    const { behaviours, instances } = this;
    if (parameters.get('listall') !== 'true' || parameters.get('projectid') !== '-1') return {};
    const ids = [parameters.get('id') ?? '', ...(parameters.get('ids') ?? '').split(',')].filter(Boolean);
    for (const id of ids) {
      if (behaviours.emptyForUnknown || instances.some((one) => one.id === id)) continue;
      throw new LabApiError(
        431,
        `Unable to execute API command listvirtualmachines due to invalid value. Invalid parameter id value=${id} due to incorrect long value format, or entity does not exist or due to incorrect parameter annotation for the field in api cmd class.`,
      );
    }
    const keyword = parameters.get('keyword') ?? '';
    const found = instances.filter(
      ({ id, name, state }) =>
        state !== 'Expunged' && (ids.length === 0 || ids.includes(id)) && name.includes(keyword),
    );
    const page = Number(parameters.get('page'));
    const size = Number(parameters.get('pagesize'));
    if (size > maxPageSize)
      throw new LabApiError(431, 'Page size can not exceed max allowed list size value');
    const from = behaviours.repeatFirstPage ? 0 : (page - 1) * size;
    if (found.length === 0) return {};
    return {
      count: found.length + behaviours.countTooMuch,
      virtualmachine: found.slice(from, from + size).map(({ id, name, state }) => ({
        id,
        name: `tenant-name-of-${name}`,
        ...(!behaviours.hideInstanceNames && { instancename: name }),
        state,
        hypervisor: 'BareMetal',
        nic: [],
      })),
    };
  }

  #issue(parameters: ReadonlyMap<string, string>): object {
    const { authority, issueFor = [] } = this.#options;
    const csr = parameters.get('csr');
    if (csr === undefined) throw new LabApiError(431, 'Please provide the domains or the CSR');
    const duration = parameters.get('duration');
    const jobid = `job-${this.#jobs.size + 1}`;
    this.#jobs.set(jobid, {
      looks: this.behaviours.jobLooks,
      result: () => ({
        certificates: {
          certificate: authority.issueFor(
            csr,
            issueFor,
            duration === undefined ? undefined : Number(duration),
          ).pem,
          cacertificates: authority.pem,
        },
      }),
    });
    return { jobid };
  }

  #job(jobid: string): object {
    const job = this.#jobs.get(jobid);
    if (!job) throw new LabApiError(431, `there is no job ${jobid}`);
    const { jobError } = this.behaviours;
    if (job.looks > 0) {
      job.looks -= 1;
      return { jobid, jobstatus: 0, jobprocstatus: 0 };
    }
    if (jobError) return { jobid, jobstatus: 2, jobresultcode: 530, jobresult: jobError };
    return { jobid, jobstatus: 1, jobresultcode: 0, jobresulttype: 'object', jobresult: job.result() };
  }
}

class LabApiError extends Error {
  readonly errorcode: number;

  constructor(errorcode: number, errortext: string) {
    super(errortext);
    this.errorcode = errorcode;
  }
}

function decode(value: string): string {
  return decodeURIComponent(value.replaceAll('+', ' '));
}

/** Byte by byte, as `java.net.URLEncoder` does, with %20 for the blank. */
function encode(value: string): string {
  return Array.from(Buffer.from(value, 'utf8'), (byte) => {
    const char = String.fromCharCode(byte);
    return /[A-Za-z0-9.\-*_]/.test(char) ? char : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }).join('');
}
