export { createForce10CliDriver, force10Type } from './force10-driver.ts';
export { force10Settings, type Force10Settings } from './settings.ts';
