/** A stage at which a machine may hang, in the order of a boot. */
export type HangPoint = 'firmware' | 'ipxe' | 'agent' | 'image' | 'erase' | 'os';

/** What may go wrong with a machine. */
export type Behaviour =
  /** The NIC has no link: it sends and hears nothing. Without `nic` every NIC. */
  | { readonly kind: 'dead-nic'; readonly nic?: string }
  /** The firmware ignores the boot flags and takes the other device. */
  | { readonly kind: 'wrong-device' }
  /** Power is lost when this share of the image is written. */
  | { readonly kind: 'dies-mid-image'; readonly percent: number }
  /** One byte of the image is changed on its way to the ramdisk. */
  | { readonly kind: 'corrupts-image' }
  /** Stops for ever, powered on. */
  | { readonly kind: 'hangs'; readonly at: HangPoint }
  /** The operating system does not heed ACPI. */
  | { readonly kind: 'ignores-soft-off' }
  /** The BMC says yes, the power stays. */
  | { readonly kind: 'power-stuck'; readonly at: 'on' | 'off' }
  /** Everything takes this many times as long. */
  | { readonly kind: 'slow'; readonly factor: number }
  /** The ramdisk reports a failure instead of doing its order. */
  | { readonly kind: 'agent-fails'; readonly code: string; readonly said: string }
  /** The disk is not seen by the ramdisk. */
  | { readonly kind: 'disk-missing'; readonly disk: string }
  /** The erase says it is done, but has written nothing. */
  | { readonly kind: 'erase-skips'; readonly disk: string }
  /** Somebody on the provisioning network asks for this machine's script, before or after it. */
  | { readonly kind: 'second-asker'; readonly when: 'before' | 'after' };

export type BehaviourKind = Behaviour['kind'];

/** The behaviours of one machine now. */
export class Behaviours {
  #active: { readonly behaviour: Behaviour; left: number }[] = [];

  /** @param times how often it strikes before it is over; default: until {@link clear}. */
  add(behaviour: Behaviour, times = Number.POSITIVE_INFINITY): void {
    this.#active.push({ behaviour, left: times });
  }

  /** Ends all behaviours, or those of one kind. */
  clear(kind?: BehaviourKind): void {
    this.#active = kind === undefined ? [] : this.#active.filter((a) => a.behaviour.kind !== kind);
  }

  list(): readonly Behaviour[] {
    return this.#active.map((a) => a.behaviour);
  }

  /** Looks without using up. */
  find<K extends BehaviourKind>(
    kind: K,
    matches: (behaviour: Extract<Behaviour, { kind: K }>) => boolean = () => true,
  ): Extract<Behaviour, { kind: K }> | null {
    return this.#entry(kind, matches)?.behaviour ?? null;
  }

  /** Looks, and counts one strike. */
  strike<K extends BehaviourKind>(
    kind: K,
    matches: (behaviour: Extract<Behaviour, { kind: K }>) => boolean = () => true,
  ): Extract<Behaviour, { kind: K }> | null {
    const entry = this.#entry(kind, matches);
    if (!entry) return null;
    entry.left -= 1;
    this.#active = this.#active.filter((a) => a.left > 0);
    return entry.behaviour;
  }

  #entry<K extends BehaviourKind>(
    kind: K,
    matches: (behaviour: Extract<Behaviour, { kind: K }>) => boolean,
  ): { readonly behaviour: Extract<Behaviour, { kind: K }>; left: number } | undefined {
    return this.#active.find(
      (a): a is { readonly behaviour: Extract<Behaviour, { kind: K }>; left: number } =>
        a.behaviour.kind === kind && matches(a.behaviour as Extract<Behaviour, { kind: K }>),
    );
  }
}

/** One behaviour, chosen and furnished by the number source: the same seed gives the same trouble. */
export function randomBehaviour(
  random: () => number,
  nics: readonly string[],
  disks: readonly string[],
): Behaviour {
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)]!;
  const makers: readonly (() => Behaviour)[] = [
    () => ({ kind: 'dead-nic', nic: pick(nics) }),
    () => ({ kind: 'wrong-device' }),
    () => ({ kind: 'dies-mid-image', percent: Math.floor(random() * 100) }),
    () => ({ kind: 'corrupts-image' }),
    () => ({ kind: 'hangs', at: pick<HangPoint>(['firmware', 'ipxe', 'agent', 'image', 'erase', 'os']) }),
    () => ({ kind: 'ignores-soft-off' }),
    () => ({ kind: 'slow', factor: 1 + Math.floor(random() * 5) }),
    () => ({ kind: 'agent-fails', code: 'agent', said: 'the lab said so' }),
    () => ({ kind: 'disk-missing', disk: pick(disks) }),
    () => ({ kind: 'second-asker', when: pick(['before', 'after'] as const) }),
  ];
  return pick(makers)();
}
