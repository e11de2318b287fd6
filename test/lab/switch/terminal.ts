import { once } from 'node:events';
import ssh2 from 'ssh2';
import type { ClientChannel, ConnectConfig } from 'ssh2';
import type { LabSwitch } from '../../../lab/switch/index.ts';

/** A person at a terminal: types lines over a real SSH connection and reads what comes until the next prompt. */
export class Terminal {
  readonly #client: ssh2.Client;
  readonly #channel: ClientChannel;
  #text = '';
  #wake: (() => void)[] = [];
  #closed = false;

  static async open(
    lab: LabSwitch,
    login: Partial<ConnectConfig> & { pty?: boolean; cols?: number } = {},
  ): Promise<Terminal> {
    const client = new ssh2.Client();
    const { pty = true, cols = 200, ...config } = login;
    client.connect({ host: lab.host, port: lab.port, username: 'admin', password: 'pw', ...config });
    try {
      await once(client, 'ready');
      // Without it every line waits 40 ms for a delayed acknowledgement.
      client.setNoDelay(true);
      const channel = await new Promise<ClientChannel>((resolve, reject) =>
        client.shell(pty ? { cols, rows: 24 } : false, (error, stream) =>
          error ? reject(error) : resolve(stream),
        ),
      );
      return new Terminal(client, channel);
    } catch (error) {
      client.on('error', () => undefined);
      client.destroy();
      throw error;
    }
  }

  private constructor(client: ssh2.Client, channel: ClientChannel) {
    this.#client = client;
    this.#channel = channel;
    channel.on('data', (bytes: Buffer) => {
      this.#text += bytes.toString('latin1');
      this.#notify();
    });
    client.on('error', () => undefined);
    client.on('close', () => {
      this.#closed = true;
      this.#notify();
    });
  }

  /** Everything received and not yet taken, as text. */
  get text(): string {
    return Buffer.from(this.#text, 'latin1').toString('utf8');
  }

  /** Sends bytes as they are. */
  send(text: string): void {
    this.#channel.write(text);
  }

  /** Takes everything up to the end of the pattern, once it is there. Rejects when the connection ends first. */
  async until(pattern: RegExp): Promise<string> {
    for (;;) {
      const match = pattern.exec(this.text);
      if (match) {
        const taken = this.text.slice(0, match.index + match[0].length);
        this.#text = this.#text.slice(Buffer.byteLength(taken));
        return taken;
      }
      if (this.#closed) throw new Error(`connection ended after ${JSON.stringify(this.text)}`);
      await this.#change();
    }
  }

  /** Types a line, gives the output between its echo and the next prompt, without carriage returns. */
  async type(line: string, prompt = /(?:^|\n)tor-a(\([^)\n]*\))?[>#$]$/): Promise<string> {
    this.send(`${line}\n`);
    const text = (await this.until(prompt)).replaceAll('\r', '');
    const lines = text.split('\n');
    return lines.slice(1, -1).join('\n');
  }

  /** Types a line and gives the prompt after it. */
  async promptAfter(line: string): Promise<string> {
    this.send(`${line}\n`);
    const text = await this.until(/(?:^|\n)tor-a(\([^)\n]*\))?[>#$]$/);
    return text.slice(text.lastIndexOf('\n') + 1);
  }

  /** Waits for the end of the connection. */
  async ended(): Promise<void> {
    while (!this.#closed) await this.#change();
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#client.end();
    await this.ended();
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#wake.push(resolve));
  }

  #notify(): void {
    const waiting = this.#wake;
    this.#wake = [];
    for (const wake of waiting) wake();
  }
}
