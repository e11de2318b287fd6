import type { ParsedEntry } from '../body.ts';
import { textField } from '../gson-reader.ts';

export const setupKeyStoreCommandClass = 'org.apache.cloudstack.ca.SetupKeyStoreCommand';
export const setupCertificateCommandClass = 'org.apache.cloudstack.ca.SetupCertificateCommand';

/** The certificate (PEM, the agent's own first) of a `SetupCertificateCommand`; its private key is empty for an agent that sent a request. */
export function readSetupCertificateCommand(entry: ParsedEntry): { readonly certificate: string | null } {
  return { certificate: textField(entry.fields, 'certificate') };
}
