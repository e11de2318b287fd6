/** Faults of a simulated BMC; all can be changed while it runs. Commands are named `netfn.cmd` in decimal: `0.2` = Chassis Control. */
export interface BmcBehaviours {
  /** Says nothing at all. */
  readonly dead: boolean;
  /** Answers come this much later, in milliseconds, plus up to `jitterMs` (which reorders them). */
  readonly delayMs: number;
  readonly jitterMs: number;
  /** Part (0 to 1) of requests thrown away, of answers thrown away (carried out!), of answers sent twice. */
  readonly dropIn: number;
  readonly dropOut: number;
  readonly dupOut: number;
  /** Before each answer the previous one is sent again. */
  readonly staleFirst: boolean;
  /** The next so many commands in a session are answered "busy" (C0h) and not carried out. */
  readonly busy: number;
  /** Every password is wrong. */
  readonly wrongPassword: boolean;
  /** Completion code for a command, which is then not carried out. */
  readonly completion: Readonly<Record<string, number>>;
  /** Commands that are carried out and never answered. */
  readonly mute: readonly string[];
  /** No session is free. */
  readonly slotsFull: boolean;
  /** The next so many chassis controls are answered with success and not carried out; Infinity = all. */
  readonly withoutEffect: number;
  /** The OS ignores a soft off. */
  readonly softIgnored: boolean;
  /** Boot option parameter 3 is refused with 80h (OpenBMC). */
  readonly refuseBootParameter3: boolean;
  /** Get System Boot Options is refused: flags cannot be read back. */
  readonly refuseBootReading: boolean;
  /** Boot flags are read back as marked invalid. */
  readonly bootFlagsInvalid: boolean;
  /** Bits of the boot flags that are dropped. */
  readonly losePersistent: boolean;
  readonly loseEfi: boolean;
  /** Get Channel Cipher Suites stays unanswered outside a session (ipmi_sim, iLO 4). */
  readonly muteCipherSuites: boolean;
  /** Refusals of Open Session are 2 bytes short (ipmi_sim, Supermicro). */
  readonly shortRefusals: boolean;
  /** Open Session for suite 17 is answered with suite 3 (pyghmi's BMC). */
  readonly downgrade: boolean;
}

export const noFaults: BmcBehaviours = {
  dead: false,
  delayMs: 0,
  jitterMs: 0,
  dropIn: 0,
  dropOut: 0,
  dupOut: 0,
  staleFirst: false,
  busy: 0,
  wrongPassword: false,
  completion: {},
  mute: [],
  slotsFull: false,
  withoutEffect: 0,
  softIgnored: false,
  refuseBootParameter3: false,
  refuseBootReading: false,
  bootFlagsInvalid: false,
  losePersistent: false,
  loseEfi: false,
  muteCipherSuites: false,
  shortRefusals: false,
  downgrade: false,
};
