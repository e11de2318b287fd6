import type { CodedError } from '../../../plugin-api/index.ts';

/**
 * Failures that another machine would meet too: an answer that carries one tells CloudStack not to try the next host (design law 6).
 * The wiring codes are not among them: they name what is wrong with this machine's cabling, and the next machine may be right.
 */
const everywhere: ReadonlySet<string> = new Set([
  'restore.pending',
  'image.no-match',
  'image.ambiguous',
  'image.storage',
  'deploy.image-unknown',
  'network.no-default-nic',
  'network.vlan-uri',
  'network.reserved-vlan',
  'network.foreign-vlan',
  'value.vlan',
  'value.mac',
  'request.invalid',
  'claim.unknown-instance',
]);

/** An error that knows better than its code whether a retry elsewhere would fail too. */
export interface AgentRefusal extends CodedError {
  readonly stopRetry: boolean;
}

/** Whether a retry on another host would fail too: what the error itself says, else what its code means. */
export function stopRetry(error: CodedError): boolean {
  return saysItself(error) ? error.stopRetry : everywhere.has(error.code);
}

function saysItself(error: CodedError): error is AgentRefusal {
  return 'stopRetry' in error && typeof error.stopRetry === 'boolean';
}
