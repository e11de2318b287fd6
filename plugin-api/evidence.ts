export type JsonValue = null | boolean | number | string | readonly JsonValue[] | JsonObject;
export interface JsonObject {
  readonly [key: string]: JsonValue | undefined;
}

/** What proved a step: lines read back from a switch, a BMC's answer, an erase report. Never a secret. */
export interface Evidence {
  /** One line for people, for example `tor-a Te 1/1: native 100, tagged none (read back)`. */
  readonly summary: string;
  /** Whether the device itself showed the result (law 3); what it cannot show is set again before each boot. */
  readonly verified: boolean;
  readonly data?: JsonObject | undefined;
}
