import path from 'node:path';
import type { Stage } from './stage.ts';

/** What a newcomer can do with a floor that stays up: every command can be pasted into another terminal. */
export function whatToTry(stage: Stage, folder: string): string[] {
  const { floor } = stage;
  const { bmcAddress } = floor.find('server-3');
  const [device] = floor.switches;
  const ipmi = `ipmitool -I lanplus -C 17 -H ${bmcAddress.host} -p ${bmcAddress.port} -U ${floor.username} -P ${floor.password}`;
  const ssh = `ssh -p ${device!.port} -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null ${floor.username}@${device!.host}`;
  return [
    '',
    'It stays up. What to try next, in another terminal, from this folder:',
    '',
    `   export CSBM_URL=${stage.service.adminUrl} CSBM_TOKEN_FILE=${stage.tokenFile}`,
    '   bin/csbm machine list                 # the three servers',
    '   bin/csbm operation list               # everything that was done to them; show ID tells each step',
    '   bin/csbm timeline server-3            # what happened to it, from the first command on',
    '   bin/csbm machine ports server-3       # switch ports: wanted and observed',
    '   bin/csbm machine stop server-3        # take the neighbour down',
    '',
    `   ${ipmi} chassis status`,
    '                                         # the BMC of server-3, asked by a foreign client',
    `   ${ssh}`,
    `                                         # switch ${device!.name}; the password is ${floor.password}; try: show vlan`,
    '',
    `   less ${stage.serviceLog}`,
    `   less ${folder}.txt`,
    `   less ${path.join(folder, 'csbm.yaml')}`,
    '',
    'Ctrl-C here, or `make demo-stop` there, ends it and leaves nothing.',
    '',
  ];
}
