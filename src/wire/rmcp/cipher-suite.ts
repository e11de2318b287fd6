/** The three algorithm numbers of a cipher suite (IPMI 2.0, section 13.28). */
export interface Algorithms {
  readonly authentication: number;
  readonly integrity: number;
  readonly confidentiality: number;
}

export type SuiteId = 3 | 17;

export interface CipherSuite {
  readonly id: SuiteId;
  readonly algorithms: Algorithms;
  readonly hash: 'sha1' | 'sha256';
  /** Bytes of the key exchange codes in RAKP 2 and 3. */
  readonly codeLength: number;
  /** Bytes of RAKP 4's check value and of a packet's authentication code. */
  readonly checkLength: number;
}

/**
 * The suites that we speak. All others are left out on purpose: 0 to 2, 15 and 16 do not encrypt (0 does not even check
 * the password), 6 to 14 are MD5 or RC4.
 */
export const cipherSuites: Readonly<Record<SuiteId, CipherSuite>> = {
  3: {
    id: 3,
    algorithms: { authentication: 1, integrity: 1, confidentiality: 1 },
    hash: 'sha1',
    codeLength: 20,
    checkLength: 12,
  },
  17: {
    id: 17,
    algorithms: { authentication: 3, integrity: 4, confidentiality: 1 },
    hash: 'sha256',
    codeLength: 32,
    checkLength: 16,
  },
};

export function sameAlgorithms(a: Algorithms, b: Algorithms): boolean {
  return (
    a.authentication === b.authentication &&
    a.integrity === b.integrity &&
    a.confidentiality === b.confidentiality
  );
}
