import type { PortId, SwitchStep, VlanId } from '../../../../plugin-api/index.ts';

/** One line to send, and where it acts. */
export interface CliLine {
  readonly text: string;
  readonly about: { readonly port?: PortId; readonly vlan?: VlanId };
  /** The sub-mode that the prompt must show after this line; its absence = any. */
  readonly enters?: 'config' | 'interface';
  /** The answer must show that this VLAN is ours, unrouted and empty, before the next line may go out. */
  readonly checks?: 'deletable';
  /** What a line with a list of ports does, port by port. */
  readonly each?: readonly MembershipStep[];
}

/** A step that a VLAN's sub-mode does for one port. */
export type MembershipStep = Extract<SwitchStep, { port: PortId; vlan: VlanId }>;

/**
 * No manual says how long a line may be. This is short of what any command line takes, and its echo fits into one line of the
 * terminal that we ask for.
 */
const longestLine = 200;

/**
 * The literal lines for the steps, in their order. Steps that follow each other in one VLAN, or on one port, share its
 * sub-mode, and ports of which a VLAN wants the same share a line. From one sub-mode it goes into the next without `exit`, as
 * Dell's own Ansible roles do (dellemc.os9, `roles/os9_vlan`, `load_config` in `module_utils/network/os9.py`).
 */
export function renderSteps(steps: readonly SwitchStep[]): CliLine[] {
  if (steps.length === 0) return [];
  const lines: CliLine[] = [{ text: 'configure', about: {}, enters: 'config' }];
  let mode: string | null = null;
  for (let at = 0; at < steps.length;) {
    const step = steps[at]!;
    at += 1;
    if (step.do === 'delete-vlan') {
      const about = { vlan: step.vlan };
      // The sub-mode of a VLAN is left before the VLAN goes.
      if (mode !== null) lines.push({ text: 'exit', about: {}, enters: 'config' });
      mode = null;
      lines.push(
        { text: `do show running-config interface vlan ${step.vlan}`, about, checks: 'deletable' },
        { text: `no interface vlan ${step.vlan}`, about },
      );
      continue;
    }
    const name = subMode(step);
    const about = {
      ...('port' in step ? { port: step.port } : {}),
      ...('vlan' in step ? { vlan: step.vlan } : {}),
    };
    if (name !== mode) lines.push({ text: `interface ${name}`, about, enters: 'interface' });
    mode = name;
    if (isMembership(step)) {
      const together = [step, ...alike(step, steps, at)];
      at += together.length - 1;
      lines.push(membershipLine(together));
    } else {
      lines.push(...commands(step).map((text) => ({ text, about })));
    }
  }
  lines.push({ text: 'end', about: {} });
  return lines;
}

/**
 * The line that does the same for all these ports of one VLAN and one type. In the list each number is whole
 * (`TenGigabitEthernet 1/1,1/2`): so OS9 lists ports itself (`show running-config`), and so Dell's os9_vlan role lists them
 * for the older numbering too (`fortyGigE 0/12-15,0/17`). No ranges: what lies between two ports is not ours to know.
 */
export function membershipLine(steps: readonly MembershipStep[]): CliLine {
  const { do: what, vlan, port: first } = steps[0]!;
  const ports = [first, ...steps.slice(1).map(({ port }) => numbersOf(port))].join(',');
  const text = `${membershipCommands[what]} ${ports}`;
  return steps.length === 1 ? { text, about: { vlan, port: first } } : { text, about: { vlan }, each: steps };
}

const membershipCommands: Readonly<Record<MembershipStep['do'], string>> = {
  'remove-tagged': 'no tagged',
  'remove-native': 'no untagged',
  'set-native': 'untagged',
  'add-tagged': 'tagged',
};

/** The steps from `at` on that go into one line with `step`. */
function alike(step: MembershipStep, steps: readonly SwitchStep[], at: number): MembershipStep[] {
  const found: MembershipStep[] = [];
  if (!isListed(step.port)) return found;
  let length = `${membershipCommands[step.do]} ${step.port}`.length;
  for (const next of steps.slice(at)) {
    const same =
      isMembership(next) &&
      next.do === step.do &&
      next.vlan === step.vlan &&
      typeOf(next.port) === typeOf(step.port) &&
      isListed(next.port);
    if (!same) break;
    length += 1 + numbersOf(next.port).length;
    if (length > longestLine) break;
    found.push(next);
  }
  return found;
}

/** Lists are known of ports that are numbered by unit and port; those of lanes (`1/1/1`) and of port-channels go one a line. */
function isListed(port: PortId): boolean {
  return /^\d+\/\d+$/.test(numbersOf(port));
}

function typeOf(port: PortId): string {
  return port.slice(0, port.indexOf(' '));
}

function numbersOf(port: PortId): string {
  return port.slice(port.indexOf(' ') + 1);
}

type PlainStep = Exclude<SwitchStep, { do: 'delete-vlan' }>;

function isMembership(step: SwitchStep): step is MembershipStep {
  return 'port' in step && 'vlan' in step;
}

/** Membership is a property of the VLAN; mode and admin state are the port's. */
function subMode(step: PlainStep): string {
  return step.do === 'set-admin' || step.do === 'prepare-port' ? step.port : `vlan ${step.vlan}`;
}

function commands(step: Exclude<PlainStep, MembershipStep>): string[] {
  switch (step.do) {
    case 'ensure-vlan':
      return [`description ${step.description}`, 'no shutdown'];
    case 'prepare-port':
      // Hybrid mode is refused while the port is in layer 2 mode.
      return ['no switchport', 'portmode hybrid', 'switchport'];
    case 'set-admin':
      return [step.admin === 'up' ? 'no shutdown' : 'shutdown'];
  }
}
