export { createOvsDriver, ovsType } from './ovs-driver.ts';
export { ovsSettings, type OvsSettings } from './settings.ts';
