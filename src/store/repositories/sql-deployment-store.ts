import type { FirstBootData } from '../../../plugin-api/index.ts';
import type { Deployment, ShownDeployment } from '../../core/claim/deployment.ts';
import type { MachineId } from '../../core/machine/machine.ts';
import type { DeploymentStore } from '../../core/storage/storage.ts';
import type { DeploymentRow } from '../schema/claim.ts';
import type { Sealer } from '../secrets/sealer.ts';
import type { Session } from '../session.ts';
import type { Tables } from '../tables.ts';
import { expectOne } from './expect-one.ts';
import { inSteps } from './in-steps.ts';

export class SqlDeploymentStore implements DeploymentStore {
  readonly #tables: Tables;
  readonly #session: Session;
  readonly #sealer: Sealer;

  constructor(tables: Tables, session: Session, sealer: Sealer) {
    this.#tables = tables;
    this.#session = session;
    this.#sealer = sealer;
  }

  async current(machineId: MachineId): Promise<Deployment | null> {
    const row = await this.#tables.deployment.find(this.#session, { currentMachineId: machineId });
    return row && this.#toDeployment(row);
  }

  async find(id: string): Promise<Deployment | null> {
    const row = await this.#tables.deployment.find(this.#session, { id });
    return row && this.#toDeployment(row);
  }

  async listCurrent(): Promise<readonly Deployment[]> {
    const rows = await this.#tables.deployment.select(
      this.#session,
      { state: ['installing', 'installed'] },
      { order: { id: 'ASC' } },
    );
    return rows.map((row) => this.#toDeployment(row));
  }

  async currentOfMachines(machineIds: readonly MachineId[]): Promise<readonly ShownDeployment[]> {
    const rows = await this.#tables.deployment.select(this.#session, {
      currentMachineId: inSteps(machineIds),
    });
    return rows.map(shownDeployment);
  }

  async insert(deployment: Deployment): Promise<void> {
    await this.#tables.deployment.insert(this.#session, [this.#toRow(deployment)]);
  }

  async update(deployment: Deployment): Promise<Deployment> {
    const { id, version } = deployment;
    const stored = { ...deployment, version: version + 1 };
    const affected = await this.#tables.deployment.update(this.#session, this.#toRow(stored), {
      id,
      version,
    });
    expectOne(affected, `deployment ${id}`);
    return stored;
  }

  #toRow(deployment: Deployment): DeploymentRow {
    return {
      id: deployment.id,
      machineId: deployment.machineId,
      currentMachineId: deployment.state === 'ended' ? null : deployment.machineId,
      externalId: deployment.externalId,
      image: deployment.image,
      nicPlan: deployment.nicPlan,
      firstBoot: this.#sealer.seal(JSON.stringify(deployment.firstBoot), placeOf(deployment.id)),
      network: deployment.network,
      state: deployment.state,
      evidence: deployment.evidence,
      createdAt: deployment.createdAt,
      endedAt: deployment.endedAt,
      version: deployment.version,
    };
  }

  #toDeployment(row: DeploymentRow): Deployment {
    return {
      ...shownDeployment(row),
      firstBoot: JSON.parse(this.#sealer.open(row.firstBoot, placeOf(row.id))) as FirstBootData,
    };
  }
}

function shownDeployment(row: DeploymentRow): ShownDeployment {
  return {
    id: row.id,
    machineId: row.machineId as MachineId,
    externalId: row.externalId,
    image: row.image,
    nicPlan: row.nicPlan,
    network: row.network,
    state: row.state,
    evidence: row.evidence,
    createdAt: row.createdAt,
    endedAt: row.endedAt,
    version: row.version,
  };
}

const placeOf = (id: string) => ({ table: 'deployment', row: id, field: 'first_boot' });
