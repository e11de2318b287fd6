import { execFileSync } from 'node:child_process';

/**
 * Whether CI says that it must be there: `CI_REQUIRED_PEERS` is a comma-separated list of names, or `all` with those that could
 * not be fetched behind a minus (`all,-netmiko`; decision 40).
 */
export function peerRequired(name: string): boolean {
  const required = (process.env['CI_REQUIRED_PEERS'] ?? '').split(',').map((one) => one.trim());
  return (required.includes('all') && !required.includes(`-${name}`)) || required.includes(name);
}

/**
 * Skips the test unless the foreign program is installed (a command of that name, unless `present` knows better), and
 * fails it instead where it must be there ({@link peerRequired}). Call it first in a test or a `before` hook.
 */
export function requirePeer(
  context: Mocha.Context,
  name: string,
  present: (name: string) => boolean = installed,
): void {
  if (present(name)) return;
  if (peerRequired(name))
    throw new Error(`the foreign program "${name}" is required here (CI_REQUIRED_PEERS) and not installed`);
  process.stderr.write(`    skipped: the foreign program "${name}" is not installed\n`);
  context.skip();
}

function installed(name: string): boolean {
  try {
    // The system folders are where administrators' programs live, and not in every user's PATH.
    execFileSync('/bin/sh', ['-c', 'command -v "$1"', 'sh', name], {
      stdio: 'ignore',
      env: { ...process.env, PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin` },
    });
    return true;
  } catch {
    return false;
  }
}
