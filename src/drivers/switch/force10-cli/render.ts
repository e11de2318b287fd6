import type { PortId, SwitchStep, VlanId } from '../../../../plugin-api/index.ts';

/** One line to send, and where it acts. */
export interface CliLine {
  readonly text: string;
  readonly about: { readonly port?: PortId; readonly vlan?: VlanId };
  /** The sub-mode that the prompt must show after this line; its absence = any. */
  readonly enters?: 'config' | 'interface';
  /** The answer must show that this VLAN is ours, unrouted and empty, before the next line may go out. */
  readonly checks?: 'deletable';
}

/**
 * The literal lines for the steps, in their order. Steps that follow each other in one VLAN, or on one port, share its
 * sub-mode. Sub-modes are left with `exit`: going from one to the next directly is not documented for every release.
 */
export function renderSteps(steps: readonly SwitchStep[]): CliLine[] {
  if (steps.length === 0) return [];
  const lines: CliLine[] = [{ text: 'configure', about: {}, enters: 'config' }];
  let mode: string | null = null;
  const leave = (): void => {
    if (mode !== null) lines.push({ text: 'exit', about: {}, enters: 'config' });
    mode = null;
  };
  for (const step of steps) {
    const about = {
      ...('port' in step ? { port: step.port } : {}),
      ...('vlan' in step ? { vlan: step.vlan } : {}),
    };
    if (step.do === 'delete-vlan') {
      leave();
      lines.push(
        { text: `do show running-config interface vlan ${step.vlan}`, about, checks: 'deletable' },
        { text: `no interface vlan ${step.vlan}`, about },
      );
      continue;
    }
    const name = subMode(step);
    if (name !== mode) {
      leave();
      lines.push({ text: `interface ${name}`, about, enters: 'interface' });
      mode = name;
    }
    lines.push(...commands(step).map((text) => ({ text, about })));
  }
  lines.push({ text: 'end', about: {} });
  return lines;
}

type PlainStep = Exclude<SwitchStep, { do: 'delete-vlan' }>;

/** Membership is a property of the VLAN; mode and admin state are the port's. */
function subMode(step: PlainStep): string {
  return step.do === 'set-admin' || step.do === 'prepare-port' ? step.port : `vlan ${step.vlan}`;
}

/** One port a line: the grammar of port lists differs between releases. */
function commands(step: PlainStep): string[] {
  switch (step.do) {
    case 'ensure-vlan':
      return [`description ${step.description}`, 'no shutdown'];
    case 'prepare-port':
      // Hybrid mode is refused while the port is in layer 2 mode.
      return ['no switchport', 'portmode hybrid', 'switchport'];
    case 'set-admin':
      return [step.admin === 'up' ? 'no shutdown' : 'shutdown'];
    case 'remove-tagged':
      return [`no tagged ${step.port}`];
    case 'remove-native':
      return [`no untagged ${step.port}`];
    case 'set-native':
      return [`untagged ${step.port}`];
    case 'add-tagged':
      return [`tagged ${step.port}`];
  }
}
