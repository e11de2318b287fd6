import type { FabricSwitch, PortMembership } from '../../../lab/network/index.ts';

export const shut: PortMembership = { native: null, tagged: [], up: false };

/** A switch that is nothing but a table of memberships. */
export class FakeSwitch implements FabricSwitch {
  readonly name: string;
  readonly #ports: Map<string, PortMembership>;
  readonly #listeners = new Set<() => void>();

  constructor(name: string, ports: Readonly<Record<string, PortMembership>>) {
    this.name = name;
    this.#ports = new Map(Object.entries(ports));
  }

  membership(port: string): PortMembership | null {
    return this.#ports.get(port) ?? null;
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  set(port: string, membership: Partial<PortMembership>): void {
    this.#ports.set(port, { ...(this.#ports.get(port) ?? shut), ...membership });
    for (const listener of this.#listeners) listener();
  }
}

export function port(native: number | null, ...tagged: number[]): PortMembership {
  return { native, tagged, up: true };
}
