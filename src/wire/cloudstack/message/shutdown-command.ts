import type { BodyEntry, ParsedEntry } from '../body.ts';
import { flagField, textField } from '../gson-reader.ts';
import { gsonText } from '../gson-writer.ts';
import { agentStyle, commandBase } from './command-base.ts';

export const shutdownCommandClass = 'com.cloud.agent.api.ShutdownCommand';

/** Clean exit of the agent: with reason `sig.kill` the server sets the host to Disconnected without an investigation. */
export function shutdownCommand(): BodyEntry {
  const text = gsonText({ reason: 'sig.kill', removeHost: false, ...commandBase() }, agentStyle);
  return { className: shutdownCommandClass, text };
}

/**
 * Whether a server that says goodbye to an agent wants it to forget its zone, pod and cluster too. Before 4.15 there is no such field,
 * and the one reason that a server gives is that the host was deleted.
 */
export function removesHost(entry: ParsedEntry): boolean {
  if (Object.hasOwn(entry.fields, 'removeHost')) return flagField(entry.fields, 'removeHost');
  return textField(entry.fields, 'reason') === 'deleteHost';
}
