import { Command } from 'commander';
import { labBmcCommand } from './lab-bmc.ts';
import { labUpCommand } from './lab-floor.ts';
import { labManagementServerCommand } from './lab-management-server.ts';
import { labSwitchCommand } from './lab-switch.ts';

/** `csbm lab`: simulators on loopback, in the foreground. */
export function labCommand(): Command {
  return new Command('lab')
    .addCommand(labUpCommand())
    .addCommand(labSwitchCommand())
    .addCommand(labBmcCommand())
    .addCommand(labManagementServerCommand());
}
