import { X509Certificate } from 'node:crypto';
import { stat, statfs } from 'node:fs/promises';
import type { CodedError, Clock, DeployEngine, Duration } from '../../../plugin-api/index.ts';
import { formatDuration } from '../../kernel/clock/duration.ts';
import type { Storage } from '../../core/storage/storage.ts';
import { finding, type Finding, type FindingCode } from './finding.ts';

/** Something besides machines and switches that a survey looks at. */
export interface SurroundingsCheck {
  run(signal: AbortSignal): Promise<readonly Finding[]>;
  /** What is told when the check itself fails, or takes too long. */
  unable(error: CodedError): Finding;
}

function check(
  code: FindingCode,
  where: string,
  run: (signal: AbortSignal) => Promise<readonly Finding[]> | readonly Finding[],
): SurroundingsCheck {
  return {
    run: async (signal) => run(signal),
    unable: (error) =>
      finding({ code, where, what: `${error.what} [${error.code}]`, said: error.said ?? null }),
  };
}

/** The folders, one check for each file system that they lie on. @param least free, in percent and in bytes, of which the smaller counts */
export function diskCheck(
  folders: readonly string[],
  least: { readonly percent: number; readonly bytes: number },
): SurroundingsCheck {
  return check('disk.low', folders.join(', '), async () => {
    const seen = new Set<string>();
    const found: Finding[] = [];
    for (const folder of folders) {
      const [facts, place] = await Promise.all([statfs(folder), stat(folder)]).catch(() => [null, null]);
      if (!facts || !place || seen.has(String(place.dev))) continue;
      seen.add(String(place.dev));
      const free = facts.bavail * facts.bsize;
      const all = facts.blocks * facts.bsize;
      if (free >= Math.min((all * least.percent) / 100, least.bytes)) continue;
      const percent = all === 0 ? 0 : Math.floor((free * 100) / all);
      found.push(
        finding({
          code: 'disk.low',
          where: folder,
          what: `${Math.floor(free / 2 ** 20)} MiB are free, ${percent} % of the disk`,
        }),
      );
    }
    return found;
  });
}

/** Whoever reads the key file can open every secret of the database. */
export function keyFileCheck(file: string): SurroundingsCheck {
  return check('key-file.open', file, async () => {
    const facts = await stat(file).catch(() => null);
    if (!facts || (facts.mode & 0o077) === 0) return [];
    const mode = (facts.mode & 0o777).toString(8);
    return [finding({ code: 'key-file.open', where: file, what: `its mode is ${mode}` })];
  });
}

/** @param slow how long one short reading may take */
export function databaseCheck(storage: Storage, clock: Clock, slow: Duration): SurroundingsCheck {
  return check('database.slow', 'the database', async () => {
    const began = clock.monotonic();
    await storage.run((tx) => tx.alarms.list(1));
    const took = clock.monotonic() - began;
    if (took <= slow) return [];
    return [
      finding({
        code: 'database.slow',
        where: 'the database',
        what: `a short reading took ${formatDuration(took)}`,
      }),
    ];
  });
}

/** The certificate of a listener. @param warnBefore its end */
export function listenerCheck(
  name: string,
  certificate: () => string,
  clock: Clock,
  warnBefore: Duration,
): SurroundingsCheck {
  return check('listener.certificate', name, () => {
    const end = Date.parse(new X509Certificate(certificate()).validTo);
    const left = end - clock.now();
    if (left > warnBefore) return [];
    const day = new Date(end).toISOString();
    return [
      finding({
        code: 'listener.certificate',
        where: name,
        what: left <= 0 ? `its certificate ended at ${day}` : `its certificate ends at ${day}`,
      }),
    ];
  });
}

/** Our certificate towards the management servers. */
export function cloudCertificateCheck(
  status: () => { readonly state: string; readonly warning: string | null },
): SurroundingsCheck {
  return check('cloudstack.certificate', 'the agent links', () => {
    const { warning } = status();
    if (warning === null) return [];
    return [finding({ code: 'cloudstack.certificate', where: 'the agent links', what: warning })];
  });
}

interface LinkStatus {
  readonly machineId: string;
  readonly state: string;
  readonly since: number;
  readonly server: string | null;
  readonly reason: string | null;
}

/** One finding for each server and reason: a server that is down takes thousands of links with it. */
export function linksCheck(
  statuses: () => readonly LinkStatus[],
  clock: Clock,
  patience: Duration,
): SurroundingsCheck {
  return check('cloudstack.link', 'the agent links', () => {
    const groups = new Map<string, LinkStatus[]>();
    for (const link of statuses()) {
      const young = clock.now() - link.since < patience && link.reason === null;
      if (link.state === 'up' || link.state === 'stopped' || young) continue;
      const key = `${link.server} ${link.reason}`;
      groups.set(key, [...(groups.get(key) ?? []), link]);
    }
    return [...groups.values()].map((links) => {
      const { reason, server, state } = links[0]!;
      return finding({
        code: 'cloudstack.link',
        where: server === null ? 'management server' : `management server ${server}`,
        what: `${links.length} machine${links.length === 1 ? ' has' : 's have'} no link (${state})`,
        since: Math.min(...links.map(({ since }) => since)),
        said: reason,
      });
    });
  });
}

/** The last round with CloudStack's HTTP API. */
export function cloudApiCheck(
  last: () => {
    readonly at: number;
    readonly problem: { readonly what: string; readonly said?: string | undefined } | null;
  } | null,
): SurroundingsCheck {
  return check('cloudstack.api', "CloudStack's HTTP API", () => {
    const round = last();
    if (!round?.problem) return [];
    const { what, said } = round.problem;
    const where = "CloudStack's HTTP API";
    return [finding({ code: 'cloudstack.api', where, what, said: said ?? null, since: round.at })];
  });
}

/** DHCP and TFTP on the provisioning network, where they are ours. */
export function provisioningCheck(
  status: () => {
    readonly state: string;
    readonly why: string | null;
    readonly remedy: string | null;
    readonly since: number;
  },
): SurroundingsCheck {
  return check('provisioning.down', 'the provisioning network', () => {
    const { state, why, remedy, since } = status();
    if (state === 'running' || state === 'starting') return [];
    return [
      finding({
        code: 'provisioning.down',
        where: 'the provisioning network',
        what: `dnsmasq is ${state}${why === null ? '' : `: ${why}`}`,
        since,
        ...(remedy !== null && { remedy }),
      }),
    ];
  });
}

/** Whether the boot service is heard where machines are told that it is. */
export function bootServiceCheck(url: string): SurroundingsCheck {
  return check('boot.unreachable', url, async (signal) => {
    try {
      // Whatever it answers: it is there.
      await (await fetch(url, { signal, redirect: 'manual' })).body?.cancel();
      return [];
    } catch (thrown) {
      const cause = thrown instanceof Error ? (thrown.cause ?? thrown) : thrown;
      const said = cause instanceof Error ? cause.message : String(cause);
      return [finding({ code: 'boot.unreachable', where: url, what: 'no answer', said })];
    }
  });
}

/** An engine outside of this service: its list of images is the smallest thing to ask for. */
export function engineCheck(engine: DeployEngine): SurroundingsCheck {
  const where = `the engine ${engine.type}`;
  return check('engine.unreachable', where, async () => {
    await engine.images();
    return [];
  });
}

/** A restored database that nobody has accepted. */
export function restoreCheck(
  report: () => Promise<{
    readonly pending: { readonly why: string; readonly at: number } | null;
    readonly machines: readonly object[];
    readonly unknown: readonly object[];
  }>,
): SurroundingsCheck {
  return check('restore.pending', 'the service', async () => {
    const { machines, pending, unknown } = await report();
    if (!pending) return [];
    return [
      finding({
        code: 'restore.pending',
        where: 'the service',
        what: `nothing is done, because the database is an older state (${pending.why}); ${machines.length} machines differ${unknown.length > 0 ? ', and there are machines that it does not know' : ''}`,
        since: pending.at,
      }),
    ];
  });
}
