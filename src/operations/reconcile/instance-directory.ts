/** An instance that holds a machine here. */
export interface AskedInstance {
  /** CloudStack's own name of it, `i-2-77-VM`. */
  readonly name: string;
  /** Lower case; null = not known yet. */
  readonly uuid: string | null;
}

/** What the cloud says of one instance. */
export type Sighting =
  /** It is there; `recoverable` = destroyed, but a person can still recover it. */
  | { readonly kind: 'present' | 'recoverable'; readonly uuid: string; readonly state: string }
  /** It is expunged, or about to be: nobody can get it back. */
  | { readonly kind: 'gone'; readonly how: string }
  /** Nothing certain can be said. */
  | { readonly kind: 'unclear'; readonly why: string };

/** A cloud's own record of its instances. */
export interface InstanceDirectory {
  /**
   * What the cloud says of these instances, by name. `gone` is said only on evidence: the answers were complete, the asker sees
   * every account, and the cloud knows that it had the instance and has it no more.
   * @throws CodedError when the cloud does not answer, or not completely
   */
  look(asked: readonly AskedInstance[], signal: AbortSignal): Promise<ReadonlyMap<string, Sighting>>;
}
