import { milliseconds, type Duration } from '../../plugin-api/index.ts';

/** What an iPXE script came to. */
export type IpxeOutcome =
  | { readonly kind: 'boot'; readonly kernel: IpxeKernel; readonly initrds: readonly string[] }
  | { readonly kind: 'local-disk' }
  | { readonly kind: 'exit' }
  | { readonly kind: 'power-off' }
  | { readonly kind: 'reboot' }
  | { readonly kind: 'failed'; readonly said: string };

export interface IpxeKernel {
  readonly url: string;
  readonly args: readonly string[];
}

/** What the script runs on. */
export interface IpxeHost {
  /** A setting such as `netX/mac` or `platform`, without modifier; undefined = not set. */
  setting(name: string): string | undefined;
  /** The body of a 200 answer. @throws Error otherwise */
  fetch(url: string): Promise<Buffer>;
  /** Whether the first BIOS drive boots. */
  diskBoots(): boolean;
  sleep(time: Duration): Promise<void>;
}

/** A script that loops without a sleep would stop the whole lab; boot scripts sleep between their tries. */
const mostCommandsAwake = 10_000;

/**
 * Runs an iPXE script: the commands that boot scripts use (chain, kernel, initrd, boot, sanboot, exit, poweroff, reboot, goto,
 * set, clear, inc, isset, iseq, sleep, echo, dhcp, imgfree), `||` and `&&`, and `${setting:modifier}`. An unknown command
 * fails, as in iPXE. Semantics: ipxe.org/cmd, ipxe.org/scripting.
 */
export async function runIpxe(script: string, host: IpxeHost): Promise<IpxeOutcome> {
  return new IpxeRun(host).script(script, null);
}

interface Ended {
  readonly end: IpxeOutcome;
}

type CommandResult = boolean | Ended | { readonly goto: string };

class IpxeRun {
  readonly #host: IpxeHost;
  readonly #set = new Map<string, string>();
  #kernel: IpxeKernel | null = null;
  #initrds: { name: string; url: string }[] = [];
  #commands = 0;
  #said = '';

  constructor(host: IpxeHost) {
    this.#host = host;
  }

  async script(text: string, base: string | null): Promise<IpxeOutcome> {
    if (!text.startsWith('#!ipxe')) return { kind: 'failed', said: 'Exec format error' };
    const lines = text.split(/\r?\n/).map((line) => line.trim());
    for (let at = 0; at < lines.length; at++) {
      const line = lines[at]!;
      if (line === '' || line.startsWith('#') || line.startsWith(':')) continue;
      const result = await this.#line(line, base);
      if (result === true) continue;
      if (result === false) return { kind: 'failed', said: `"${line}": ${this.#said}` };
      if ('end' in result) return result.end;
      const label = lines.indexOf(`:${result.goto}`);
      if (label === -1) return { kind: 'failed', said: `no label ${result.goto}` };
      at = label;
    }
    return { kind: 'exit' };
  }

  /** Runs `a && b || c` from left to right; the value is that of the last command that ran. */
  async #line(line: string, base: string | null): Promise<CommandResult> {
    let ok = true;
    let operator: string | null = null;
    for (const part of line.split(/(?<=^|\s)(\|\||&&)(?=\s|$)/)) {
      if (part === '||' || part === '&&') {
        operator = part;
        continue;
      }
      if (operator === '||' ? ok : operator === '&&' && !ok) continue;
      const words = part
        .trim()
        .split(/\s+/)
        .filter(Boolean)
        .map((word) => this.#expand(word))
        .filter((word) => word !== '');
      const result = words.length === 0 ? true : await this.#command(words, base);
      if (typeof result === 'object') return result;
      ok = result;
    }
    return operator === '||' && line.endsWith('||') ? true : ok;
  }

  async #command([name = '', ...args]: string[], base: string | null): Promise<CommandResult> {
    if (++this.#commands > mostCommandsAwake) return this.#fail('the script loops without a sleep');
    const { options, words } = readOptions(args);
    switch (name) {
      case 'echo':
      case 'dhcp':
      case 'ifconf':
      case 'ifopen':
        return true;
      case 'set':
        this.#set.set(words[0] ?? '', words.slice(1).join(' '));
        return true;
      case 'clear':
        this.#set.delete(words[0] ?? '');
        return true;
      case 'inc':
        this.#set.set(
          words[0] ?? '',
          String(Number(this.#setting(words[0] ?? '') ?? 0) + Number(words[1] ?? 1)),
        );
        return true;
      case 'isset':
        return words.length > 0 || this.#fail('not set');
      case 'iseq':
        return words[0] === words[1] || this.#fail('not equal');
      case 'goto':
        return { goto: words[0] ?? '' };
      case 'sleep':
        this.#commands = 0;
        await this.#host.sleep(milliseconds(Number(words[0] ?? 0) * 1_000));
        return true;
      case 'imgfree':
        this.#kernel = null;
        this.#initrds = [];
        return true;
      case 'kernel':
      case 'imgselect':
        return this.#fetch(words[0], base, (url) => (this.#kernel = { url, args: words.slice(1) }));
      case 'initrd':
      case 'module':
      case 'imgfetch':
        return this.#fetch(words[0], base, (url) => {
          this.#initrds.push({ name: options.get('name') ?? url.split('/').at(-1)!, url });
        });
      case 'chain':
        return this.#chain(words[0], base, options.has('replace') || options.has('r'));
      case 'boot':
        return this.#kernel ? this.#end(this.#boot(this.#kernel)) : this.#fail('no image to boot');
      case 'sanboot':
        return this.#host.diskBoots()
          ? this.#end({ kind: 'local-disk' })
          : this.#fail('Could not boot from SAN device');
      case 'exit':
        return words[0] === undefined || words[0] === '0'
          ? this.#end({ kind: 'exit' })
          : this.#end({ kind: 'failed', said: `exit ${words[0]}` });
      case 'poweroff':
        return this.#end({ kind: 'power-off' });
      case 'reboot':
        return this.#end({ kind: 'reboot' });
      default:
        return this.#fail('command not found');
    }
  }

  #boot(kernel: IpxeKernel): IpxeOutcome {
    // Under UEFI the kernel finds its initrd by the argument `initrd=NAME`; under BIOS it is handed over.
    const named = (name: string): boolean => kernel.args.includes(`initrd=${name}`);
    const found =
      this.#setting('platform') === 'efi' ? this.#initrds.filter((i) => named(i.name)) : this.#initrds;
    return { kind: 'boot', kernel, initrds: found.map((i) => i.url) };
  }

  async #chain(target: string | undefined, base: string | null, replace: boolean): Promise<CommandResult> {
    let body = '';
    const fetched = await this.#fetch(target, base, (_url, bytes) => (body = bytes.toString('utf8')));
    if (fetched !== true) return fetched;
    const outcome = await this.script(body, target === undefined ? base : resolve(target, base));
    if (outcome.kind === 'failed') return replace ? this.#end(outcome) : this.#fail(outcome.said);
    return outcome.kind === 'exit' && !replace ? true : this.#end(outcome);
  }

  async #fetch(
    target: string | undefined,
    base: string | null,
    done: (url: string, body: Buffer) => void,
  ): Promise<CommandResult> {
    if (target === undefined) return this.#fail('no URI');
    const url = resolve(target, base);
    try {
      done(url, await this.#host.fetch(url));
      return true;
    } catch (error) {
      return this.#fail(error instanceof Error ? error.message : String(error));
    }
  }

  #end(end: IpxeOutcome): Ended {
    return { end };
  }

  #fail(said: string): false {
    this.#said = said;
    return false;
  }

  #setting(name: string): string | undefined {
    return this.#set.get(name) ?? this.#host.setting(name);
  }

  #expand(word: string): string {
    return word.replaceAll(/\$\{([^}:]+)(?::([a-z]+))?\}/g, (_whole, name: string, modifier?: string) =>
      modify(this.#setting(name) ?? '', modifier),
    );
  }
}

/** `--name X` and `-n X` take a value for `name` only; the other options that scripts use are switches. */
function readOptions(args: readonly string[]): { options: ReadonlyMap<string, string>; words: string[] } {
  const options = new Map<string, string>();
  let at = 0;
  for (; at < args.length && args[at]!.startsWith('-'); at++) {
    const option = args[at]!.replace(/^--?/, '');
    const [key, inline] = option.split('=', 2) as [string, string?];
    if (key === 'name' || key === 'n' || key === 'drive' || key === 'timeout')
      options.set(key === 'n' ? 'name' : key, inline ?? args[++at] ?? '');
    else options.set(key, '');
  }
  return { options, words: args.slice(at) };
}

function resolve(target: string, base: string | null): string {
  return new URL(target, base ?? undefined).href;
}

function modify(value: string, modifier: string | undefined): string {
  if (modifier === 'hexhyp') return value.replaceAll(':', '-');
  if (modifier === 'hexraw') return value.replaceAll(':', '');
  if (modifier === 'uristring') return encodeURIComponent(value);
  return value;
}
