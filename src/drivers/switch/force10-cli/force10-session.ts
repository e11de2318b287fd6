import {
  DeviceError,
  ourVlanPrefix,
  type DeviceCode,
  type DeviceContext,
  type Duration,
  type ObservedPort,
  type ObservedSwitch,
  type ObservedVlan,
  type PortId,
  type Secret,
  type SwitchSession,
  type SwitchStep,
  type SwitchTarget,
  type VlanId,
} from '../../../../plugin-api/index.ts';
import { CommandLine, type Answer } from './command-line.ts';
import {
  findRefusal,
  isHarmlessRefusal,
  isLagRefusal,
  isLockRefusal,
  isUnknownInterface,
  isUnpreparedRefusal,
  oneLine,
  unpreparedRemedy,
} from './refusal.ts';
import { membershipLine, renderSteps, type CliLine, type MembershipStep } from './render.ts';
import {
  parseLagMembership,
  parsePortConfig,
  parseVlanConfig,
  splitPortConfigs,
  type PortConfig,
} from './running-config.ts';
import type { Force10Settings } from './settings.ts';
import {
  lagOf,
  membersOf,
  parseShowVlan,
  taggedVlansOf,
  untaggedVlansOf,
  type VlanTable,
} from './show-vlan.ts';
import { openSshShell, type SwitchShell } from './ssh-shell.ts';

/** More ports than that are read with one command. */
const portsReadAlone = 6;

/** A privileged session on the command line of an OS9 switch. */
export class Force10Session implements SwitchSession {
  readonly hostKey: string;
  readonly #shell: SwitchShell;
  readonly #line: CommandLine;
  readonly #settings: Force10Settings;
  readonly #context: DeviceContext;
  readonly #where: string;
  readonly #enablePassword: Secret | undefined;
  /** By the monotonic clock: what is under way has no time beyond it. */
  #endsAt: number;
  #privileged = false;
  #unsaved: boolean | null = null;
  /** Whether another line is worth sending: the last one was answered, and nobody else has taken over meanwhile. */
  #goesOn = true;
  /** False on a switch that goes from one sub-mode to the next through configuration mode only. */
  #subModesFollow = true;
  /** False on a switch that refused a list of ports. */
  #listsTaken = true;
  /** Of the last prompt. */
  #mode: string | null = null;

  private constructor(
    shell: SwitchShell,
    target: SwitchTarget,
    settings: Force10Settings,
    context: DeviceContext,
  ) {
    const where = `switch ${target.name}`;
    this.hostKey = shell.hostKey;
    this.#shell = shell;
    this.#line = new CommandLine(shell, context.clock, settings.settle, where);
    this.#settings = settings;
    this.#context = context;
    this.#where = where;
    this.#enablePassword = target.enablePassword;
    this.#endsAt = this.#timeFromNow();
  }

  /** @throws DeviceError `switch.*` */
  static async open(
    target: SwitchTarget,
    settings: Force10Settings,
    context: DeviceContext,
    signal?: AbortSignal,
  ): Promise<Force10Session> {
    const shell = await openSshShell(target, settings, context.clock, signal);
    const session = new Force10Session(shell, target, settings, context);
    try {
      await session.#logIn(target, signal);
      return session;
    } catch (error) {
      await session.close();
      throw error;
    }
  }

  async read(ports: readonly PortId[], signal?: AbortSignal): Promise<ObservedSwitch> {
    this.#endsAt = this.#timeFromNow();
    await this.#enable(signal);
    const table = parseShowVlan(await this.#show('show vlan', signal));
    const seen = new Map<PortId, ObservedPort>();
    const asked = new Set(ports);
    const configured = asked.size > portsReadAlone ? await this.#readInterfaces(signal) : null;
    for (const port of asked) {
      const lines = configured?.get(port);
      const known = lines ? parsePortConfig(lines, port) : null;
      const config = known ? this.#checked(port, known) : await this.#readPort(port, signal);
      if (config) seen.set(port, await this.#observe(port, config, table, signal));
    }
    const vlans = [...table.vlans.values()].map((row): [VlanId, ObservedVlan] => [
      row.id,
      {
        id: row.id,
        ours: row.description.startsWith(ourVlanPrefix),
        description: row.description,
        members: membersOf(row),
      },
    ]);
    return { defaultVlan: table.defaultVlan, ports: seen, vlans: new Map(vlans), unsaved: this.#unsaved };
  }

  async apply(steps: readonly SwitchStep[], signal?: AbortSignal): Promise<void> {
    const lines = renderSteps(steps);
    this.#endsAt = this.#timeFromNow();
    await this.#enable(signal);
    for (const [index, line] of lines.entries()) {
      try {
        await this.#send(line, `line ${index + 1} of ${lines.length}`, signal);
      } catch (error) {
        // Leaves the configuration mode, and with it the lock that the mode may hold; the session is of no other use now.
        if (this.#goesOn) await this.#run('end', this.#settings.closeTimeout, signal).catch(() => undefined);
        throw error;
      }
    }
  }

  async #send(line: CliLine, place: string, signal: AbortSignal | undefined): Promise<void> {
    if (line.each !== undefined && !this.#listsTaken) return this.#sendOneByOne(line.each, place, signal);
    const fromSubMode = line.enters === 'interface' && this.#mode !== 'conf';
    if (fromSubMode && !this.#subModesFollow) await this.#leaveSubMode(place, signal);
    const answer = await this.#sendLine(line.text, signal);
    const refusal = findRefusal(answer.lines);
    if (refusal !== null && !isLockRefusal(refusal)) {
      if (line.each !== undefined) return this.#sendRefusedList(line.each, refusal, place, signal);
      if (fromSubMode && this.#subModesFollow) {
        this.#subModesFollow = false;
        return this.#send(line, place, signal);
      }
    }
    this.#checkLine(line, answer, place);
  }

  async #sendLine(text: string, signal: AbortSignal | undefined): Promise<Answer> {
    this.#goesOn = false;
    this.#context.mayChange?.();
    // Whether it took effect is not known until it is answered.
    if (text !== 'configure') this.#unsaved = true;
    const answer = await this.#run(text, this.#settings.commandTimeout, signal);
    this.#mode = answer.prompt.mode;
    return answer;
  }

  async #leaveSubMode(place: string, signal: AbortSignal | undefined): Promise<void> {
    const exit: CliLine = { text: 'exit', about: {}, enters: 'config' };
    this.#checkLine(exit, await this.#sendLine(exit.text, signal), place);
  }

  /**
   * A list is refused because this switch takes none, or because of one of its ports; and then it is not known what became of
   * the others. The ports that the switch does not show as wanted are sent by themselves, so that a refusal names its port.
   */
  async #sendRefusedList(
    steps: readonly MembershipStep[],
    refusal: string,
    place: string,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    this.#context.log('info', 'the switch refused a list of ports; they are sent one by one', {
      where: this.#where,
      refusal,
    });
    const table = parseShowVlan(await this.#show('do show vlan', signal));
    const left = steps.filter((step) => !holds(table, step));
    // All of them left, so it was the list that it did not like.
    this.#listsTaken = left.length < steps.length;
    await this.#sendOneByOne(left, place, signal);
  }

  async #sendOneByOne(
    steps: readonly MembershipStep[],
    place: string,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    for (const step of steps) await this.#send(membershipLine([step]), place, signal);
  }

  async save(signal?: AbortSignal): Promise<void> {
    this.#endsAt = this.#timeFromNow();
    await this.#enable(signal);
    this.#context.mayChange?.();
    const { lines } = await this.#run('write memory', this.#settings.saveTimeout, signal, 'yes');
    const complaint = findRefusal(lines) ?? (lines.some(soundsFailed) ? oneLine(lines) : null);
    if (complaint !== null) throw this.#error('switch.unsaved', '"write memory" failed', complaint);
    this.#unsaved = false;
  }

  async close(): Promise<void> {
    await this.#shell.close();
  }

  async #logIn(target: SwitchTarget, signal: AbortSignal | undefined): Promise<void> {
    const options = { timeout: this.#settings.loginTimeout, signal };
    try {
      this.#privileged = (await this.#line.firstPrompt(options)).privileged;
      await this.#enable(signal);
    } catch (error) {
      if (!(error instanceof DeviceError) || error.code !== 'switch.session-lost') throw error;
      throw new DeviceError({
        code: 'switch.unreachable',
        what: 'the switch closed the session during the login',
        where: this.#where,
        said: error.said,
        remedy: 'its VTY lines may be taken, or too many connections came in the last minute; wait',
        cause: error,
      });
    }
    const { lines } = await this.#run('terminal length 0', this.#settings.commandTimeout, signal);
    const refusal = findRefusal(lines);
    // Not every release knows it; then the pager is answered page by page.
    if (refusal !== null)
      this.#context.log('debug', 'the switch does not switch paging off', { switch: target.name, refusal });
    if (target.hostKeyPin === undefined)
      this.#context.log('warn', 'the host key of the switch is not pinned', {
        switch: target.name,
        hostKey: this.hostKey,
      });
  }

  async #enable(signal: AbortSignal | undefined): Promise<void> {
    if (this.#privileged) return;
    await this.#line.enable(this.#enablePassword, { timeout: this.#settings.loginTimeout, signal });
    this.#privileged = true;
  }

  /** Null when the switch has no such port. */
  async #readPort(port: PortId, signal: AbortSignal | undefined): Promise<PortConfig | null> {
    const command = `show running-config interface ${port}`;
    const { lines } = await this.#run(command, this.#settings.commandTimeout, signal);
    const refusal = findRefusal(lines);
    if (refusal !== null && !isUnknownInterface(refusal)) throw this.#refused(command, refusal);
    const config = refusal === null ? parsePortConfig(lines, port) : null;
    if (!config)
      this.#context.log('warn', 'the switch has no such port', { where: this.#where, port, refusal });
    return config && this.#checked(port, config);
  }

  /** The configuration of all interfaces in one answer, or null from a release that does not tell it so. */
  async #readInterfaces(
    signal: AbortSignal | undefined,
  ): Promise<ReadonlyMap<PortId, readonly string[]> | null> {
    const { lines } = await this.#run('show running-config interface', this.#settings.commandTimeout, signal);
    return findRefusal(lines) === null ? splitPortConfigs(lines) : null;
  }

  #checked(port: PortId, config: PortConfig): PortConfig {
    if (config.portCentric) {
      throw new DeviceError({
        code: 'switch.protocol',
        what: `${port} keeps its VLANs itself, so this is an I/O aggregator, which this driver does not serve`,
        where: this.#where,
      });
    }
    return config;
  }

  async #observe(
    port: PortId,
    config: PortConfig,
    table: VlanTable,
    signal: AbortSignal | undefined,
  ): Promise<ObservedPort> {
    const untagged = untaggedVlansOf(table, port);
    if (untagged.length > 1)
      throw this.#error('switch.protocol', `${port} is shown untagged in several VLANs`, untagged.join(', '));
    const native = untagged[0] ?? null;
    const lag = lagOf(table, port);
    return {
      native: native !== null && native === table.defaultVlan ? 'default' : native,
      tagged: taggedVlansOf(table, port),
      admin: config.admin,
      prepared: config.hybrid && config.switchport,
      guarded:
        config.guarded ??
        (lag === null ? null : `a LAG member (of ${lag})`) ??
        (config.switchport ? null : await this.#staticLag(port, signal)),
    };
  }

  /**
   * A member of a static group shows no trace of it in its own configuration, and none in `show vlan` while the group is not in
   * layer 2 mode; but then it is not in layer 2 mode itself, so that only such ports need this further question.
   */
  async #staticLag(port: PortId, signal: AbortSignal | undefined): Promise<string | null> {
    const lag = parseLagMembership(await this.#show(`show interfaces ${port}`, signal));
    return lag === null ? null : `a LAG member (of ${lag})`;
  }

  async #show(command: string, signal: AbortSignal | undefined): Promise<readonly string[]> {
    const { lines } = await this.#run(command, this.#settings.commandTimeout, signal);
    const refusal = findRefusal(lines);
    if (refusal !== null) throw this.#refused(command, refusal);
    return lines;
  }

  #checkLine(line: CliLine, { lines, prompt }: Answer, place: string): void {
    const refusal = findRefusal(lines);
    if (refusal !== null && !isHarmlessRefusal(line.text, refusal))
      throw this.#refused(line.text, refusal, line.about, place);
    const mode = prompt.mode ?? '';
    const entered =
      line.enters === undefined ||
      (line.enters === 'config' ? mode === 'conf' : isSubModeOf(mode, line.text));
    if (!entered) {
      const what = `after "${line.text}" (${place}) the prompt shows another mode`;
      throw this.#error('switch.protocol', what, `${prompt.host}(${mode})`);
    }
    if (line.checks === 'deletable' && line.about.vlan !== undefined)
      this.#checkDeletable(lines, line.about.vlan);
    // Some builds leave the session unprivileged after `end`.
    this.#privileged = prompt.privileged;
  }

  #checkDeletable(lines: readonly string[], vlan: VlanId): void {
    const config = parseVlanConfig(lines, vlan);
    if (!config) return;
    const reason = !config.description.startsWith(ourVlanPrefix)
      ? `its description "${config.description}" is not ours`
      : config.routed
        ? 'it has an IP address'
        : config.members[0] !== undefined
          ? `it still has members (${config.members[0]})`
          : null;
    if (reason === null) return;
    throw new DeviceError({
      code: 'switch.vlan-guarded',
      what: `VLAN ${vlan} is not deleted: ${reason}`,
      where: this.#where,
    });
  }

  /** @param place which line of how many, or nothing for a single command */
  #refused(line: string, said: string, about: CliLine['about'] = {}, place?: string): DeviceError {
    const port = about.port === undefined ? '' : ` ${about.port}`;
    const within = [about.vlan === undefined ? null : `VLAN ${about.vlan}`, place].filter(Boolean).join(', ');
    const code: DeviceCode = isLockRefusal(said)
      ? 'switch.locked'
      : about.port === undefined
        ? 'switch.refused'
        : isLagRefusal(said)
          ? 'switch.port-guarded'
          : isUnpreparedRefusal(said)
            ? 'switch.unprepared'
            : 'switch.refused';
    return new DeviceError({
      code,
      what: `it refused "${line}"${within && ` (${within})`}`,
      where: `${this.#where}${port}`,
      said,
      ...(code === 'switch.unprepared' && { remedy: unpreparedRemedy }),
    });
  }

  /** Each reading and each batch has its own: a session that is always at work would else end in the middle of one. */
  #timeFromNow(): number {
    return this.#context.clock.monotonic() + this.#settings.sessionTimeout;
  }

  async #run(
    command: string,
    timeout: Duration,
    signal: AbortSignal | undefined,
    confirm?: 'yes',
  ): Promise<Answer> {
    const { clock } = this.#context;
    const left = this.#endsAt - clock.monotonic();
    if (left <= 0) throw this.#error('switch.timeout', `the time was over before "${command}"`, '');
    this.#goesOn = false;
    const answer = await this.#line.run(command, {
      timeout: Math.min(timeout, left) as Duration,
      signal,
      confirm,
    });
    this.#goesOn = true;
    this.#context.log('debug', 'switch line', { where: this.#where, line: command });
    return answer;
  }

  #error(code: DeviceCode, what: string, said: string): DeviceError {
    return new DeviceError({ code, what, where: this.#where, said });
  }
}

/**
 * Commands go into the sub-mode that the prompt shows: into a wrong one, they would change somebody else's VLAN or port.
 * Prompts of ports are `(conf-if-te-1/1)`, on older firmware `(conf-if)` for any.
 * @param line the `interface` line that was sent
 */
function isSubModeOf(mode: string, line: string): boolean {
  const [, kind, shown] = /^conf-if(?:-([a-z]+)-(\d[\d/]*))?/i.exec(mode) ?? [];
  if (kind === undefined || shown === undefined) return mode.startsWith('conf-if');
  const ofVlan = line.startsWith('interface vlan ');
  return (kind.toLowerCase() === 'vl') === ofVlan && line.endsWith(` ${shown}`);
}

/** Whether the switch shows what the step would bring about. */
function holds(table: VlanTable, { do: what, vlan, port }: MembershipStep): boolean {
  const vlans = what === 'add-tagged' || what === 'remove-tagged' ? taggedVlansOf : untaggedVlansOf;
  const joins = what === 'add-tagged' || what === 'set-native';
  return vlans(table, port).includes(vlan) === joins;
}

/** `write memory` prints exclamation marks; anything that speaks of failure is one, whatever its form. */
function soundsFailed(line: string): boolean {
  return /\bfail|\berror|no space|not enough|flash (?:is )?full|\bunable\b/i.test(line);
}
