import type { Violation } from '../../lab/floor/index.ts';
import type { ChaosStage } from './chaos-stage.ts';
import type { Draw } from './draw.ts';

/** What a fault is drawn for. */
export interface FaultScene {
  readonly stage: ChaosStage;
  /** The machine whose switches, BMC and disks it concerns. */
  readonly machine: string;
}

/** One drawn fault: everything about it is settled, nothing has happened yet. */
export interface Fault {
  /** What was drawn, for the timeline. */
  readonly text: string;
  begin(): void | Promise<void>;
  /** Takes the cause away; what it has done stays. Called once, also when it never struck. */
  end(): void | Promise<void>;
  /** What the fault does by itself to the floor and no service could prevent: the oracle's word on it is not counted. */
  readonly excuses?: (violation: Violation) => boolean;
}

/** A kind of fault, as it is drawn. */
export interface FaultKind {
  readonly name: string;
  /** How often it is drawn, compared with others. */
  readonly weight: number;
  /** Only on such a stage. */
  readonly needs?: 'sqlite' | 'mariadb' | 'maas';
  /** Such a fault makes no sense, or nothing could be told, where one of these was drawn too. */
  readonly not?: readonly string[];
  /** Now and then it outlasts the patience of the service: only then is a machine fenced, say. */
  readonly lasting?: boolean;
  /** What it is told of an instance (running, its address) may stop to be true by it, with nobody to blame. */
  readonly unsettles?: boolean;
  make(draw: Draw, scene: FaultScene): Fault;
}
