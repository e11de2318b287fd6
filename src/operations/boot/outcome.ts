import {
  DeviceError,
  type BootOrder,
  type DeviceCode,
  type Evidence,
  type Inventory,
  type JsonObject,
  type JsonValue,
} from '../../../plugin-api/index.ts';
import { judgeErase, type ExpectedDisk, type ProvenGrade } from '../../core/machine/erase-evidence.ts';
import { ServiceError } from '../../kernel/errors/service-error.ts';
import type { AgentErrorCode, AgentResult, DeployReport } from './agent-report.ts';

/** How an order ended: a function of order and result only, so that the same result again gives the same outcome. */
export type Outcome =
  | { readonly state: 'done'; readonly evidence: Evidence; readonly inventory: Inventory | null }
  | { readonly state: 'failed'; readonly error: { readonly code: DeviceCode; readonly said: string } };

const agentCodes: Readonly<Record<AgentErrorCode, DeviceCode>> = {
  checksum: 'deploy.checksum',
  'no-disk': 'deploy.no-disk',
  'disk-missing': 'deploy.disk-missing',
  write: 'deploy.agent-failed',
  fetch: 'deploy.agent-failed',
  erase: 'deploy.agent-failed',
  agent: 'deploy.agent-failed',
};

/**
 * Judges a result against its order; the agent's own "ok" is not enough (law 3).
 * @throws ServiceError `request.invalid` when the result lacks the part that the order's phase needs.
 */
export function judgeResult(order: BootOrder, result: AgentResult): Outcome {
  if (!result.ok) {
    const { code, said } = result.error;
    return failed(agentCodes[code], `${code}: ${said}`);
  }
  switch (order.phase) {
    case 'commission':
      return judgeInventory(order, needed(result.inventory, 'inventory'));
    case 'deploy':
      return judgeDeploy(order, needed(result.deploy, 'deploy'));
    case 'erase': {
      const judged = judgeErase(
        needed(result.erase, 'erase'),
        list(order.work['disks']) as unknown as readonly ExpectedDisk[],
        order.work['grade'] as ProvenGrade,
      );
      return judged instanceof DeviceError
        ? failed(judged.code, `${judged.what}${judged.said === undefined ? '' : `: ${judged.said}`}`)
        : { state: 'done', evidence: judged, inventory: null };
    }
  }
}

function judgeInventory(order: BootOrder, inventory: Inventory): Outcome {
  // An inventory of some other machine under this order's token would enrol the wrong hardware.
  if (!inventory.nics.some((nic) => order.macs.includes(nic.mac))) {
    return failed(
      'deploy.agent-failed',
      `the inventory has none of the machine's MACs ${order.macs.join(', ')}`,
    );
  }
  const summary =
    `inventory: ${inventory.cpus} CPUs, ${inventory.memoryBytes} bytes of memory, ${inventory.firmware}, ` +
    `${inventory.nics.length} NICs, ${inventory.disks.length} disks`;
  return { state: 'done', evidence: { summary, verified: true }, inventory };
}

function judgeDeploy(order: BootOrder, report: DeployReport): Outcome {
  const image = object(order.work['image']);
  const disk = object(order.work['rootDisk']);
  if (report.sha256 !== image['sha256']) {
    return failed(
      'deploy.checksum',
      `written from a stream with sha256 ${report.sha256}, not ${show(image['sha256'])}`,
    );
  }
  const sameDisk = disk['serial'] !== '' ? report.serial === disk['serial'] : report.disk === disk['name'];
  if (!sameDisk) {
    return failed(
      'deploy.agent-failed',
      `it wrote to ${report.disk} (${report.serial}), not to ${show(disk['name'])} (${show(disk['serial'])})`,
    );
  }
  if (report.rawBytes !== image['rawBytes']) {
    return failed(
      'deploy.agent-failed',
      `it wrote ${report.rawBytes} bytes, but the image has ${show(image['rawBytes'])}`,
    );
  }
  return {
    state: 'done',
    evidence: {
      summary: `${order.image ?? 'image'} written to ${report.disk} (${report.serial}), sha256 ${report.sha256} as stored`,
      verified: true,
      data: { image: order.image, ...report },
    },
    inventory: null,
  };
}

function failed(code: DeviceCode, said: string): Outcome {
  return { state: 'failed', error: { code, said } };
}

function needed<T>(part: T | undefined, name: string): T {
  if (part !== undefined) return part;
  throw new ServiceError({
    code: 'request.invalid',
    what: `the result lacks "${name}", which its order asks for`,
  });
}

function object(value: JsonValue | undefined): JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : {};
}

function show(value: JsonValue | undefined): string {
  return typeof value === 'string' ? value : JSON.stringify(value ?? null);
}

function list(value: JsonValue | undefined): readonly JsonValue[] {
  return Array.isArray(value) ? (value as readonly JsonValue[]) : [];
}
