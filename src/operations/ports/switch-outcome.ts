import {
  CodedError,
  type ErrorParts,
  type Evidence,
  type JsonObject,
  type ObservedPort,
  type ObservedSwitch,
  type ObservedVlan,
  type PortId,
  type VlanId,
} from '../../../plugin-api/index.ts';

/** What came of a request to another instance's switch worker, as it goes through the database. */
export type SwitchOutcome =
  | {
      readonly evidence: readonly Evidence[];
      /** VLANs that all uplinks carried then; null = not known. */
      readonly carried: readonly VlanId[] | null;
    }
  | { readonly observed: ObservedSwitch }
  | { readonly error: CodedError };

export function encodeOutcome(outcome: SwitchOutcome): JsonObject {
  if ('error' in outcome) return { error: { ...outcome.error.toJSON() } as unknown as JsonObject };
  if ('evidence' in outcome) return { ...outcome } as unknown as JsonObject;
  const { defaultVlan, ports, vlans, unsaved } = outcome.observed;
  return {
    observed: { defaultVlan, ports: [...ports], vlans: [...vlans], unsaved },
  } as unknown as JsonObject;
}

/** Of what `encodeOutcome` made. */
export function decodeOutcome(stored: JsonObject): SwitchOutcome {
  const { error, observed } = stored as unknown as {
    readonly error?: ErrorParts;
    readonly observed?: Pick<ObservedSwitch, 'defaultVlan' | 'unsaved'> & {
      readonly ports: readonly (readonly [PortId, ObservedPort])[];
      readonly vlans: readonly (readonly [VlanId, ObservedVlan])[];
    };
  };
  if (error) return { error: new CodedError(error) };
  if (observed)
    return { observed: { ...observed, ports: new Map(observed.ports), vlans: new Map(observed.vlans) } };
  return stored as unknown as SwitchOutcome;
}
