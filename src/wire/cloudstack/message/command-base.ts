import type { GsonObject, GsonStyle } from '../gson-writer.ts';

/** How our agent writes: beyond ASCII only as \uXXXX. */
export const agentStyle: GsonStyle = { nonAscii: 'escaped' };

/**
 * The fields of `com.cloud.agent.api.Command` that every command and answer carries. `contextMap` must be present: for classes without
 * a no-arg constructor a missing map stays null on the Java side.
 */
export function commandBase(wait = 0, contextMap: Readonly<Record<string, string>> = {}): GsonObject {
  return { contextMap, wait, bypassHostMaintenance: false };
}
