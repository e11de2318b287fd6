import { Initial } from './0001-initial.ts';
import { TokenLife } from './0002-token-life.ts';
import { InstanceUuid } from './0003-instance-uuid.ts';
import { MaasClients } from './0004-maas-clients.ts';
import { WideTexts } from './0005-wide-texts.ts';
import { Instances } from './0006-instances.ts';
import { Quarantine } from './0007-quarantine.ts';
import { Timeline } from './0008-timeline.ts';
import { History } from './0009-history.ts';
import { Counts } from './0010-counts.ts';

/** Every migration, in order: named one by one, because what is found by a file pattern depends on how the service was built. */
export const migrations = [
  Initial,
  TokenLife,
  InstanceUuid,
  MaasClients,
  WideTexts,
  Instances,
  Quarantine,
  Timeline,
  History,
  Counts,
] as const;
